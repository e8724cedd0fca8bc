/** Main thread's proxy of the spawner, see `workers/spawner.ts`. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { errorTextWithPath, MonocoreError } from '../lib/errors.ts';
import { EventLoopBatch, EventLoopQueue } from '../lib/event-loop-batch.ts';
import { isSource } from '../lib/package-info.ts';
import type { ProcessIdentity } from '../lib/proc.ts';
import { type Deferred, deferred, within } from '../lib/promises.ts';
import type { Report } from '../lib/report.ts';
import type { ThreadStatus } from '../protocol/http.ts';
import type { SpawnCommand, SpawnEvent, SpawnRequest } from '../protocol/spawner.ts';
import { entryUrl } from '../threads/entry.ts';
import type { Exit } from '../vm/backend.ts';
import { exitOfChild } from '../vm/host/exit-record.ts';
import { adoptedProcess, type HostProcess, killRecorded, type Spawner } from '../vm/host/host-process.ts';

/** Time for it to end. After that it is killed: the daemon waits for it. */
const STOP_TIMEOUT_MS = 5000;

/** A small heap for new objects keeps the process small, so that it forks fast. */
const NODE_OPTIONS = ['--max-semi-space-size=1'];

interface Waiting extends Deferred<HostProcess> {
  readonly request: SpawnRequest;
  readonly record: string | null;
}

interface Child {
  readonly identity: ProcessIdentity;
  readonly ended: Deferred<Exit>;
}

/**
 * Starts the spawner, and a new one on demand after a crash. Processes of a dead spawner are watched like those of an
 * earlier daemon. Main thread.
 */
export class SpawnerProcess implements Spawner {
  readonly #report: Report;
  readonly #waiting = new Map<number, Waiting>();
  readonly #children = new Map<number, Child>();
  readonly #commands = new EventLoopBatch<SpawnCommand>((commands) => this.#send(commands));
  readonly #events = new EventLoopQueue();
  #spawner: ChildProcess | null = null;
  #starts = 0;
  #lastId = 0;
  #isStopping = false;

  constructor(report: Report) {
    this.#report = report;
  }

  get pid(): number | null {
    return this.#spawner?.pid ?? null;
  }

  status(): ThreadStatus {
    const state = this.#spawner ? 'ready' : 'stopped';
    return { name: 'spawner', state, restarts: Math.max(0, this.#starts - 1) };
  }

  /** Starts the spawner in advance, without waiting for it. */
  start(): void {
    this.#spawner ??= this.#launch();
  }

  async spawn(request: SpawnRequest, record: string | null): Promise<HostProcess> {
    if (this.#isStopping) throw failed(`${request.program} was not executed: the daemon is ending`);
    this.#lastId += 1;
    const waiting = { request, record, ...deferred<HostProcess>() };
    this.#waiting.set(this.#lastId, waiting);
    this.start();
    this.#commands.add({ ...request, record, id: this.#lastId });
    return waiting.promise;
  }

  /** Ends the spawner; its processes keep running. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#end((spawner) => spawner.connected && spawner.disconnect());
  }

  /** Kills the spawner; a new one is started for the next process. For tests. */
  async crash(): Promise<void> {
    await this.#end((spawner) => spawner.kill('SIGKILL'));
  }

  async #end(how: (spawner: ChildProcess) => void): Promise<void> {
    if (!this.#spawner) return;
    const spawner = this.#spawner;
    const exited = once(spawner, 'exit');
    how(spawner);
    if (await within(exited, STOP_TIMEOUT_MS)) return;
    spawner.kill('SIGKILL');
    await exited;
  }

  #launch(): ChildProcess {
    this.#starts += 1;
    const spawner = fork(fileURLToPath(entryUrl('spawner')), [], {
      execArgv: [...(isSource ? ['--import', 'tsx'] : []), ...NODE_OPTIONS],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      // Ctrl-C at the terminal is meant for the foreground daemon.
      detached: true,
    });
    spawner.on('message', (events: SpawnEvent[]) => {
      for (const event of events) this.#events.add(() => this.#onEvent(event));
    });
    spawner.once('error', ({ message }) => {
      // A process that failed to start emits no exit event.
      if (spawner.pid === undefined) this.#onDeath(spawner, message);
    });
    spawner.once('exit', (code, signal) => this.#onDeath(spawner, signal ?? `exit code ${code}`));
    return spawner;
  }

  #send(commands: readonly SpawnCommand[]): void {
    // Commands for a spawner that has ended meanwhile no longer have a caller.
    const awaited = commands.filter(({ id }) => this.#waiting.has(id));
    // If they cannot be sent, the spawner is about to end.
    this.#spawner?.send(awaited, () => {});
  }

  #onEvent(event: SpawnEvent): void {
    if (event.type === 'ended') {
      this.#children.get(event.id)?.ended.resolve(exitOfChild(event.code, event.signal));
      this.#children.delete(event.id);
      return;
    }
    const waiting = this.#waiting.get(event.id);
    if (!waiting) return;
    this.#waiting.delete(event.id);
    if (event.type === 'failed') {
      waiting.reject(failed(`${waiting.request.program} could not be executed: ${event.error}`));
      return;
    }
    const { identity } = event;
    const ended = deferred<Exit>();
    this.#children.set(event.id, { identity, ended });
    // The end of a short-lived process must not be reported before its start.
    waiting.resolve({ identity, exited: async () => nextTurn(await ended.promise) });
  }

  #onDeath(spawner: ChildProcess, reason: string): void {
    if (this.#spawner !== spawner) return;
    this.#spawner = null;
    if (!this.#isStopping) {
      this.#report('error', `the spawner ended: ${reason}; the next start launches another`);
      for (const { identity, ended } of this.#children.values())
        void adoptedProcess(identity).exited().then(ended.resolve);
    }
    this.#children.clear();
    for (const { request, record, reject } of this.#waiting.values()) {
      const error = failed(`${request.program} was not executed: the spawner ended: ${reason}`);
      // The process may have been started without its report being received.
      if (record === null) reject(error);
      else
        killRecorded(record).then(
          () => reject(error),
          (cause: unknown) => reject(failed(`${error.message}; it may be running: ${errorTextWithPath(cause)}`)),
        );
    }
    this.#waiting.clear();
  }
}

function failed(message: string): MonocoreError {
  return new MonocoreError('StartFailed', message);
}
