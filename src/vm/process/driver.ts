/** Runs services as plain processes of the host, without a VM: for development and load tests. */
import { closeSync, constants, openSync, statSync, watch, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { MonocoreError } from '../../errors.ts';
import type { StreamName } from '../../protocol/logs.ts';
import type { Service } from '../../protocol/service.ts';
import type { HomePaths, VmPaths } from '../../state/paths.ts';
import { findAdopted, killStragglers } from '../adoption.ts';
import { spawnDetached } from '../child.ts';
import type {
  Adoption,
  AdoptRequest,
  Exit,
  LaunchRequest,
  PreparedVm,
  ProbeResult,
  ProcessIdentity,
  RunningVm,
  VmDriver,
  VmEvent,
} from '../driver.ts';
import { findExecutable } from '../executables.ts';
import { readExitRecord } from '../exit-record.ts';
import { closeAll, openChildEnd, openReadEnd } from '../fifos.ts';
import { type HostProcess, ownProcess } from '../host-process.ts';
import { identify, isSameProcess, signalProcess } from '../process-identity.ts';
import { makeRuntimeFolder, openReadEnds } from '../runtime-folder.ts';
import { SHIM } from './shim.ts';

const STREAMS: readonly StreamName[] = ['stdout', 'stderr'];

/** Variables of the daemon that a plain process needs to work at all; the rest may hold secrets of somebody else's. */
const INHERITED_VARIABLES = ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'];

function renderEnvironment(service: Service): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const name of INHERITED_VARIABLES) if (process.env[name] !== undefined) env[name] = process.env[name];
  return { ...env, ...service.envs };
}

/** The driver of isolation `none`. Main thread. */
export class ProcessDriver implements VmDriver {
  readonly isolation = 'none';
  readonly #paths: HomePaths;

  constructor(paths: HomePaths) {
    this.#paths = paths;
  }

  async prepare({ service }: LaunchRequest): Promise<PreparedVm> {
    const env = renderEnvironment(service);
    if (!statSync(service.workdir, { throwIfNoEntry: false })?.isDirectory()) {
      throw new MonocoreError('StartFailed', `the working directory ${service.workdir} is not a directory`);
    }
    const program = findExecutable(service.command, service.workdir, env.PATH ?? '');
    const paths = this.#paths.vm(service.name);
    await makeRuntimeFolder(paths, [...STREAMS.map((stream) => paths.fifo(stream)), paths.release]);
    const streams = openReadEnds(paths, STREAMS);
    const childEnds = [paths.fifo('stdout'), paths.fifo('stderr'), paths.release].map(openChildEnd);
    const args = ['-c', SHIM, 'sh', paths.exitRecord, program, ...service.args];
    const discard = () => closeAll(childEnds);
    return {
      streams,
      discard,
      launch: (onEvent) =>
        spawnDetached('/bin/sh', args, ['ignore', ...childEnds], { cwd: service.workdir, env })
          .then((child) => new SupervisedProcess(ownProcess(child), paths, onEvent))
          .finally(discard),
    };
  }

  async adopt({ service, identity }: AdoptRequest): Promise<Adoption> {
    const paths = this.#paths.vm(service.name);
    const adopted = await findAdopted(identity, paths.exitRecord);
    if (!adopted) {
      if (identity) killStragglers(identity.pid, paths.dir);
      return { type: 'gone', exit: readExitRecord(paths.exitRecord).exit };
    }
    return {
      type: 'running',
      streams: openReadEnds(paths, STREAMS),
      attach: (onEvent) => new SupervisedProcess(adopted, paths, onEvent),
    };
  }

  reopenStream(service: string, stream: StreamName): number {
    return openReadEnd(this.#paths.vm(service).fifo(stream));
  }

  async cleanUp(service: string): Promise<void> {
    await rm(this.#paths.vm(service).dir, { recursive: true, force: true });
  }
}

/** A command under its shim. */
class SupervisedProcess implements RunningVm {
  readonly identity: ProcessIdentity;
  readonly drains = false;
  readonly #paths: VmPaths;
  readonly #onEvent: (event: VmEvent) => void;
  readonly #stopWatching: () => void;
  #started = false;
  #exited = false;

  constructor(host: HostProcess, paths: VmPaths, onEvent: (event: VmEvent) => void) {
    this.identity = host.identity;
    this.#paths = paths;
    this.#onEvent = onEvent;
    const watcher = watch(paths.dir, (_change, file) => {
      if (file === 'exit') this.#readRecord();
    });
    this.#stopWatching = () => watcher.close();
    host.onExit((exit) => this.#onProcessExit(exit));
    // The record may have been written before it was watched; events must come after the launch, so not at once.
    setImmediate(() => this.#readRecord());
  }

  signalJob(signal: NodeJS.Signals): void {
    signalProcess(this.identity, signal, 'group');
  }

  async probe(): Promise<ProbeResult> {
    return { ok: false, detail: 'it cannot be asked' };
  }

  drain(): void {
    // What the command wrote is in the FIFO when it has ended, and the FIFO is read to its end.
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
    const { commandPid, exit } = readExitRecord(this.#paths.exitRecord);
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
    this.#readRecord();
    this.#killStragglers();
    this.#onEvent({ type: 'process-ended', exit });
  }

  /**
   * What the command left running in its group holds the streams open. The group's id is not reused while it has
   * members; where the pid is in use again there were none.
   */
  #killStragglers(): void {
    if (identify(this.identity.pid) && !isSameProcess(this.identity)) return;
    try {
      process.kill(-this.identity.pid, 'SIGKILL');
    } catch {
      // Nobody was left.
    }
  }
}
