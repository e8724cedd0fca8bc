/** Back end for plain processes of the host, without a VM: for development and load tests. */
import { closeSync, constants, openSync, statSync, writeSync } from 'node:fs';
import { chown } from 'node:fs/promises';
import { errorTextWithPath, MonocoreError } from '../../lib/errors.ts';
import { type ProcessIdentity, signalProcess } from '../../lib/proc.ts';
import { untilDone } from '../../lib/promises.ts';
import type { StreamName } from '../../protocol/log-files/names.ts';
import { DEFAULT_CPUS, DEFAULT_RAM_MIB, type Service } from '../../protocol/service.ts';
import { CANCELLED, type ProbeResult } from '../../protocol/supervision.ts';
import type { VmPaths } from '../../state/paths.ts';
import type {
  Adoption,
  AdoptRequest,
  BackendEvent,
  Exit,
  Instance,
  LaunchRequest,
  PreparedInstance,
  VmProbe,
} from '../backend.ts';
import { type ExitRecord, makeRecord, readExitRecord } from '../host/exit-record.ts';
import { HostBackend } from '../host/host-backend.ts';
import { findAdopted, type HostProcess } from '../host/host-process.ts';
import { checkUserMayRun, findUser } from '../host/limits/user.ts';
import { makeRuntimeFolder, openReadEnds, prepareInstance } from '../host/runtime-folder.ts';
import { ownCommand } from '../host/service-command.ts';
import { endStrays } from '../host/strays.ts';
import { completeCommand, findShim } from './command.ts';
import { watchRecord } from './exit-watch.ts';
import { type ProbedService, probeProcess } from './health-probe.ts';
import { hasGroup, killGroup, killTree } from './process-group.ts';

const STREAMS: readonly StreamName[] = ['stdout', 'stderr'];

/** Notes on `cpus` and `ram`, which only affect VMs. Default values need no note, because nobody asked for them. */
function describeIgnored({ cpus, ram_mib }: Service): string[] {
  const notes: string[] = [];
  if (cpus !== DEFAULT_CPUS) notes.push('cpus has no effect on a plain process; cpu_shares does');
  if (ram_mib !== DEFAULT_RAM_MIB) notes.push('ram has no effect on a plain process; max_memory does');
  return notes;
}

/**
 * Rejects volumes and secrets: a plain process would not find them where it expects them.
 *
 * @throws MonocoreError `StartFailed`
 */
function refuseGuestFiles({ name, volumes, secrets }: Service): void {
  if (volumes.length === 0 && secrets.length === 0) return;
  const what = volumes.length > 0 ? 'volumes' : 'secrets';
  const message = `${name} has ${what}, which only a VM can have; a plain process opens files of the host by their paths`;
  throw new MonocoreError('StartFailed', message);
}

/** FIFOs that the shim inherits, from descriptor 1 on; the command inherits all but the last. */
function inheritedFifos(paths: VmPaths): string[] {
  return [...STREAMS.map((stream) => paths.fifo(stream)), paths.release];
}

/** Back end of isolation `none`. Main thread. */
export class ProcessBackend extends HostBackend {
  async prepare({ service }: LaunchRequest): Promise<PreparedInstance> {
    refuseGuestFiles(service);
    const user = await findUser(service.user);
    const { command, args, workdir } = ownCommand(service);
    if (!statSync(workdir, { throwIfNoEntry: false })?.isDirectory()) {
      throw new MonocoreError('StartFailed', `the working directory ${workdir} is not a directory`);
    }
    const { program, words, env } = completeCommand(service, user, [command, ...args]);
    await checkUserMayRun(user, program, workdir);
    const shim = findShim();
    const paths = this.host.paths.vm(service.name);
    const fifos = inheritedFifos(paths);
    await makeRuntimeFolder(paths, fifos, this.host.fifos);
    await makeRecord(paths.exitRecord);
    // Opening /dev/stdout opens the FIFO again, so the user needs access. Everything else in the folder, and the shim,
    // stay with the daemon's user.
    if (user) await Promise.all(STREAMS.map((stream) => chown(paths.fifo(stream), user.uid, user.gid)));
    const wanted = { memoryBytes: null, cpus: null, cpuShares: service.cpu_shares };
    const limits = await this.limits.apply(service, wanted);
    const wrapped = limits.launch({ program: shim, args: [paths.exitRecord, ...words] });
    const fds = ['null' as const, ...fifos.map((fifo) => ({ fifo, nonBlocking: false }))];
    const notes = [...describeIgnored(service), ...limits.notes];
    return prepareInstance(paths, STREAMS, notes, async (onEvent) => {
      const child = await this.host.spawner.spawn({ ...wrapped, fds, workdir, env }, paths.processRecord);
      return this.#supervise(child, { service, findUser: async () => user, limits }, onEvent);
    });
  }

  async adopt({ service, identity }: AdoptRequest): Promise<Adoption> {
    const paths = this.host.paths.vm(service.name);
    const adopted = await findAdopted(identity, paths.processRecord);
    if (!adopted) {
      // Usually nothing is left of its group; the check saves examining every process of the host.
      if (identity && hasGroup(identity)) await endStrays(paths.dir, null);
      return { type: 'gone', exit: readExitRecord(paths.exitRecord).exit };
    }
    const limits = await this.limits.recall(service.name);
    const probed = { service, findUser: () => findUser(service.user), limits };
    return {
      type: 'running',
      streams: openReadEnds(paths, STREAMS),
      notes: [...describeIgnored(service), ...limits.notes],
      attach: (onEvent) => this.#supervise(adopted, probed, onEvent),
    };
  }

  #supervise(process: HostProcess, probed: ProbedService, onEvent: (event: BackendEvent) => void): Instance {
    const { name } = probed.service;
    const paths = this.host.paths.vm(name);
    const probe: Instance['probe'] = (...ask) => probeProcess(probed, this.host, ...ask);
    const listener = (event: BackendEvent): void => {
      // Processes that left the group of the command may hold its streams or its ports. Removing its cgroup will try
      // again.
      if (event.type === 'process-ended') this.limits.killLeft(name).catch(() => {});
      onEvent(event);
    };
    return this.watch((listen) => new SupervisedProcess(process, paths, probe, listen), listener);
  }
}

/** Command running under its shim. */
class SupervisedProcess implements Instance {
  readonly identity: ProcessIdentity;
  readonly drains = false;
  readonly groupSocket = null;
  readonly #paths: VmPaths;
  readonly #probe: Instance['probe'];
  readonly #onEvent: (event: BackendEvent) => void;
  readonly #stopWatching: () => void;
  #started = false;
  #exited = false;
  readonly #ended = new AbortController();

  constructor(host: HostProcess, paths: VmPaths, probe: Instance['probe'], onEvent: (event: BackendEvent) => void) {
    this.identity = host.identity;
    this.#paths = paths;
    this.#probe = probe;
    this.#onEvent = onEvent;
    this.#stopWatching = watchRecord(paths, (record) => this.#onRecord(record));
    void host.exited().then((exit) => this.#onProcessExit(exit));
  }

  signalJob(signal: NodeJS.Signals | null): void {
    signalProcess(this.identity, signal ?? 'SIGTERM', 'group');
  }

  async probe(probe: VmProbe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
    const sources = [signal, this.#ended.signal];
    if (sources.some(({ aborted }) => aborted)) return CANCELLED;
    // AbortSignal.any would leak memory for each probe as long as the process runs.
    const cancel = new AbortController();
    const abort = (): void => cancel.abort();
    for (const source of sources) source.addEventListener('abort', abort);
    try {
      return await this.#probe(probe, timeoutMs, cancel.signal);
    } catch (error) {
      return { ok: false, detail: errorTextWithPath(error) };
    } finally {
      for (const source of sources) source.removeEventListener('abort', abort);
    }
  }

  setNames(): void {
    // A plain process resolves the names of the host.
  }

  drain(): void {
    // The FIFO contains all output of the ended command, and is read to its end.
  }

  release(): void {
    killTree(this.identity);
    const fd = openSync(this.#paths.release, constants.O_RDWR | constants.O_NONBLOCK);
    writeSync(fd, '\n');
    closeSync(fd);
  }

  kill(signal: NodeJS.Signals): void {
    if (signal === 'SIGKILL') killTree(this.identity);
    signalProcess(this.identity, signal, 'group');
  }

  leave(): void {
    this.#ended.abort();
    void untilDone(() => this.#stopWatching());
  }

  #onRecord({ commandPid, exit }: ExitRecord): void {
    if (commandPid !== null && !this.#started) {
      this.#started = true;
      this.#onEvent({ type: 'job-started', pid: commandPid });
    }
    if (exit && !this.#exited) {
      this.#exited = true;
      this.#onEvent({ type: 'job-exited', exit });
    }
  }

  async #onProcessExit(exit: Exit): Promise<void> {
    this.#ended.abort();
    await untilDone(() => this.#stopWatching());
    await untilDone(() => killGroup(this.identity));
    this.#onEvent({ type: 'process-ended', exit });
  }
}
