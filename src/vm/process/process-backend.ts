/** Back end for plain processes of the host, without a VM: for development and load tests. */
import { closeSync, constants, openSync, statSync, writeSync } from 'node:fs';
import { chown, rm } from 'node:fs/promises';
import { MonocoreError } from '../../lib/errors.ts';
import { type ProcessIdentity, signalProcess } from '../../lib/proc.ts';
import type { StreamName } from '../../protocol/log-files/names.ts';
import { DEFAULT_CPUS, DEFAULT_RAM_MIB, type Service } from '../../protocol/service.ts';
import type { HomePaths, VmPaths } from '../../state/paths.ts';
import type {
  Adoption,
  AdoptRequest,
  Backend,
  BackendEvent,
  Exit,
  Instance,
  LaunchRequest,
  PreparedInstance,
  ProbeResult,
  VmProbe,
} from '../backend.ts';
import { ExitRecordFile, readExitRecord } from '../host/exit-record.ts';
import { closeAll, type FifoMaker, openReadEnd } from '../host/fifos.ts';
import { findAdopted, type HostProcess, type Spawner } from '../host/host-process.ts';
import { findExecutable } from '../host/host-tools.ts';
import { ServiceLimits } from '../host/limits/service-limits.ts';
import { checkUserMayRun, findUser, renderUserSwitch } from '../host/limits/user.ts';
import { makeRuntimeFolder, openEnds, openReadEnds } from '../host/runtime-folder.ts';
import { ownCommand } from '../host/service-command.ts';
import { renderEnvironment } from './environment.ts';
import { watchRecord } from './exit-watch.ts';
import { type Prober, ProcessProbes } from './health-probe.ts';
import { killForgottenGroup, killGroup } from './process-group.ts';
import { findShim } from './shim.ts';

const STREAMS: readonly StreamName[] = ['stdout', 'stderr'];

/** Notes on `cpus` and `ram`, which size a VM only. The defaults need no note, because nobody asked for them. */
function describeIgnored({ cpus, ram_mib }: Service): string[] {
  const notes: string[] = [];
  if (cpus !== DEFAULT_CPUS) notes.push('cpus has no effect on a plain process; cpu_shares does');
  if (ram_mib !== DEFAULT_RAM_MIB) notes.push('ram has no effect on a plain process; max_memory does');
  return notes;
}

/** Files of the host are not where the service expects its volumes and secrets. @throws MonocoreError `StartFailed` */
function refuseGuestFiles({ name, volumes, secrets }: Service): void {
  if (volumes.length === 0 && secrets.length === 0) return;
  const what = volumes.length > 0 ? 'volumes' : 'secrets';
  const message = `${name} has ${what}, which only a VM can have; a plain process opens files of the host by their paths`;
  throw new MonocoreError('StartFailed', message);
}

/** FIFOs that the shim inherits, from descriptor 1 on; the command gets all but the last. */
function inheritedFifos(paths: VmPaths): string[] {
  return [...STREAMS.map((stream) => paths.fifo(stream)), paths.release];
}

/** Back end of isolation `none`. Main thread. */
export class ProcessBackend implements Backend {
  readonly #paths: HomePaths;
  readonly #limits: ServiceLimits;
  readonly #spawner: Spawner;
  readonly #fifos: FifoMaker;
  readonly #prober: Prober;

  /**
   * @param fifos shared by the back ends
   * @param prober probes ports of services
   */
  constructor(paths: HomePaths, spawner: Spawner, fifos: FifoMaker, prober: Prober) {
    this.#paths = paths;
    this.#limits = new ServiceLimits(paths);
    this.#spawner = spawner;
    this.#fifos = fifos;
    this.#prober = prober;
  }

  async prepare({ service }: LaunchRequest): Promise<PreparedInstance> {
    refuseGuestFiles(service);
    const user = await findUser(service.user);
    const env = renderEnvironment(service, user);
    const { command, args, workdir } = ownCommand(service);
    if (!statSync(workdir, { throwIfNoEntry: false })?.isDirectory()) {
      throw new MonocoreError('StartFailed', `the working directory ${workdir} is not a directory`);
    }
    const program = findExecutable(command, workdir, env.PATH ?? '');
    await checkUserMayRun(user, program, workdir);
    const shim = findShim();
    const paths = this.#paths.vm(service.name);
    const fifos = inheritedFifos(paths);
    await makeRuntimeFolder(paths, fifos, this.#fifos);
    // /dev/stdout opens the FIFO once more. The shim, the folder and everything else in it stay with the daemon's user.
    if (user) await Promise.all(STREAMS.map((stream) => chown(paths.fifo(stream), user.uid, user.gid)));
    const limits = await this.#limits.apply(service, {
      memoryBytes: null,
      cpus: null,
      cpuShares: service.cpu_shares,
    });
    const { streams, childEnds } = openEnds(paths, STREAMS);
    const words = [...renderUserSwitch(user), program, ...args];
    const wrapped = limits.wrap({ program: shim, args: [paths.exitRecord, ...words] });
    const discard = () => closeAll(childEnds);
    const probes = new ProcessProbes(service, async () => user, limits, this.#spawner, this.#prober);
    const fds = ['null' as const, ...fifos.map((fifo) => ({ fifo, nonBlocking: false }))];
    return {
      streams,
      notes: [...describeIgnored(service), ...limits.notes],
      discard,
      launch: (onEvent) =>
        this.#spawner
          .spawn({ ...wrapped, fds, workdir, env }, paths.exitRecord)
          .then((child) => new SupervisedProcess(child, paths, probes, onEvent))
          .finally(discard),
    };
  }

  async adopt({ service, identity }: AdoptRequest): Promise<Adoption> {
    const paths = this.#paths.vm(service.name);
    const adopted = await findAdopted(identity, paths.exitRecord);
    if (!adopted) {
      if (identity) killForgottenGroup(identity, inheritedFifos(paths));
      return { type: 'gone', exit: readExitRecord(paths.exitRecord).exit };
    }
    const limits = await this.#limits.recall(service.name);
    const probes = new ProcessProbes(service, () => findUser(service.user), limits, this.#spawner, this.#prober);
    return {
      type: 'running',
      streams: openReadEnds(paths, STREAMS),
      notes: [...describeIgnored(service), ...limits.notes],
      attach: (onEvent) => new SupervisedProcess(adopted, paths, probes, onEvent),
    };
  }

  reopenStream(service: string, stream: StreamName): number {
    return openReadEnd(this.#paths.vm(service).fifo(stream));
  }

  async cleanUp(service: string): Promise<void> {
    await this.#limits.release(service);
    await rm(this.#paths.vm(service).dir, { recursive: true, force: true });
  }

  async removeData(): Promise<void> {
    // A plain process writes where it likes, so it has no data that is monocore's.
  }
}

/** A command under its shim. */
class SupervisedProcess implements Instance {
  readonly identity: ProcessIdentity;
  readonly drains = false;
  readonly groupSocket = null;
  readonly #paths: VmPaths;
  readonly #probes: ProcessProbes;
  readonly #onEvent: (event: BackendEvent) => void;
  readonly #record: ExitRecordFile;
  readonly #stopWatching: () => void;
  #started = false;
  #exited = false;

  constructor(host: HostProcess, paths: VmPaths, probes: ProcessProbes, onEvent: (event: BackendEvent) => void) {
    this.identity = host.identity;
    this.#paths = paths;
    this.#probes = probes;
    this.#onEvent = onEvent;
    this.#record = new ExitRecordFile(paths.exitRecord);
    const stopWatching = watchRecord(paths, () => this.#readRecord());
    // The record may have been written before it was watched. Not at once, because events must follow the launch.
    const first = setImmediate(() => this.#readRecord());
    this.#stopWatching = () => {
      stopWatching();
      clearImmediate(first);
    };
    host.onExit((exit) => this.#onProcessExit(exit));
  }

  signalJob(signal: NodeJS.Signals | null): void {
    signalProcess(this.identity, signal ?? 'SIGTERM', 'group');
  }

  probe(probe: VmProbe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
    return this.#probes.ask(probe, timeoutMs, signal);
  }

  setNames(): void {
    // A plain process has the names of the host.
  }

  drain(): void {
    // The FIFO holds all output of a command that has ended, and is read to its end.
  }

  release(): void {
    const fd = openSync(this.#paths.release, constants.O_RDWR | constants.O_NONBLOCK);
    writeSync(fd, '\n');
    closeSync(fd);
  }

  kill(signal: NodeJS.Signals): void {
    signalProcess(this.identity, signal, 'group');
  }

  #readRecord(): void {
    const { commandPid, exit } = this.#record.read();
    if (commandPid !== null && !this.#started) {
      this.#started = true;
      this.#onEvent({ type: 'job-started', pid: commandPid });
    }
    if (exit && !this.#exited) {
      this.#exited = true;
      this.#onEvent({ type: 'job-exited', exit });
    }
  }

  #onProcessExit(exit: Exit): void {
    this.#stopWatching();
    this.#probes.end();
    this.#readRecord();
    this.#record.close();
    killGroup(this.identity);
    this.#onEvent({ type: 'process-ended', exit });
  }
}
