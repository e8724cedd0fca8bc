/** Long-lived worker thread: starts it, calls it, restarts it when it dies and stops it in an orderly way. */
import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  type TransferListItem,
  type Worker,
} from 'node:worker_threads';
import { errorTextWithPath, MonocoreError } from '../lib/errors.ts';
import { deferred, within } from '../lib/promises.ts';
import type { ThreadStatus } from '../protocol/http.ts';
import { CRASH, READY, spawnWorker, type WorkerEntry } from './entry.ts';
import { type CallDeadlines, type Remote, type Wrapped, wrap } from './rpc.ts';

/** Reached only by a thread that hangs: on an overloaded host a start that gave up would begin anew, without end. */
const READY_TIMEOUT_MS = 120_000;
const RESTART_DELAY_MS = 50;
const RESTART_DELAY_MAX_MS = 5000;
/** Lifetime after which the restart delay is reset. */
const RESTART_RESET_MS = 30_000;

/** Options of a worker thread. */
export interface ThreadOptions<Api, Event> {
  readonly entry: WorkerEntry;
  /** Name for people, if several threads share an entry; by default the name of the entry. */
  readonly name?: string;
  /** Builds the initial data, for each start anew because ports in it are transferred. */
  readonly data: () => { data: unknown; transferList?: readonly MessagePort[] };
  readonly deadlines: CallDeadlines;
  readonly onEvent?: (event: Event) => void;
  /**
   * Gives the worker its previous work again, after each start and before other calls. An error ends and restarts the
   * worker.
   */
  readonly onReady?: (api: Remote<Api>) => Promise<void>;
  /** Called when the worker has died unexpectedly. */
  readonly onDeath?: (error: MonocoreError) => void;
}

interface Running<Api> {
  readonly worker: Worker;
  readonly wrapped: Wrapped<Api>;
  readonly exited: Promise<MonocoreError>;
}

/** Supervised worker thread. Main thread only. */
export class WorkerThread<Api, Event = never> {
  readonly #options: ThreadOptions<Api, Event>;
  readonly name: string;
  #state: ThreadStatus['state'] = 'stopped';
  #restarts = 0;
  #running: Running<Api> | null = null;
  #ready!: Promise<Remote<Api>>;
  #stopping = false;
  #delayMs = RESTART_DELAY_MS;
  /** Skips the delay before the next restart. */
  #skipDelay = (): void => {};

  constructor(options: ThreadOptions<Api, Event>) {
    this.#options = options;
    this.name = options.name ?? options.entry;
    this.#setReady(Promise.reject(new MonocoreError('ThreadDied', 'the thread was not started')));
  }

  status(): ThreadStatus {
    return { name: this.name, state: this.#state, restarts: this.#restarts };
  }

  /** Starts the worker. @throws MonocoreError `ThreadDied` or `CallTimeout` if it does not become ready */
  async start(): Promise<void> {
    this.#stopping = false;
    this.#state = 'starting';
    this.#setReady(this.#launch());
    await this.#ready;
  }

  /**
   * Resolves with the worker's API once it is ready; during a restart with that of the new worker.
   *
   * @throws MonocoreError `ThreadDied` after {@link WorkerThread.stop}
   */
  ready(): Promise<Remote<Api>> {
    return this.#ready;
  }

  /**
   * Calls the worker without waiting for the answer. A call lost in a dying worker is not repeated: `onReady` tells the
   * new worker everything it must know.
   */
  tell(call: (api: Remote<Api>) => Promise<unknown>): void {
    this.#ready.then(call).catch(() => {});
  }

  /** Makes a last call, in which the worker may finish its work, and ends it. The call may fail. */
  async stop(lastCall?: (api: Remote<Api>) => Promise<void>): Promise<void> {
    this.#stopping = true;
    this.#skipDelay();
    const running = this.#running;
    if (running && this.#state === 'ready') await lastCall?.(running.wrapped.remote).catch(() => {});
    await running?.worker.terminate();
    await running?.exited;
    this.#state = 'stopped';
    this.#setReady(Promise.reject(this.#stoppedError()));
  }

  /** Makes the worker throw an uncaught error, after which it is restarted. For tests. */
  async crash(): Promise<void> {
    this.#running?.worker.postMessage(CRASH);
    await this.#running?.exited;
  }

  /** Kills the worker at once, as if it had run out of memory; it is restarted. For tests. */
  async kill(): Promise<void> {
    await this.#running?.worker.terminate();
  }

  /** Sets the promise that callers wait for; if it rejects, they handle that, if there are any. */
  #setReady(ready: Promise<Remote<Api>>): void {
    this.#ready = ready;
    ready.catch(() => {});
  }

  async #launch(): Promise<Remote<Api>> {
    const { entry, deadlines, onEvent, onReady } = this.#options;
    const { port1: events, port2: workerEvents } = new MessageChannel();
    const { data, transferList = [] } = this.#options.data();
    const worker = spawnWorker(entry, {
      name: `monocore-${this.name}`,
      workerData: { data, events: workerEvents },
      transferList: [workerEvents, ...transferList] as TransferListItem[],
    });
    const startedAt = performance.now();
    const wrapped = wrap<Api>(this.name, worker, deadlines);
    let cause: unknown;
    worker.on('error', (error) => {
      cause = error;
    });
    const exited = new Promise<MonocoreError>((resolve) => {
      worker.once('exit', (code) => {
        const reason = cause === undefined ? `exit code ${code}` : errorTextWithPath(cause);
        const error = new MonocoreError('ThreadDied', `the ${this.name} thread ended: ${reason}`, { cause });
        wrapped.fail(error);
        // Its last messages may still be queued.
        for (let last = receiveMessageOnPort(events); last; last = receiveMessageOnPort(events))
          onEvent?.(last.message);
        events.close();
        if (performance.now() - startedAt > RESTART_RESET_MS) this.#delayMs = RESTART_DELAY_MS;
        resolve(error);
      });
    });
    this.#running = { worker, wrapped, exited };
    events.on('message', (event: Event) => onEvent?.(event));

    await this.#becomeReady(worker, exited);
    try {
      await onReady?.(wrapped.remote);
    } catch (error) {
      await worker.terminate();
      throw error;
    }
    this.#state = 'ready';
    void exited.then((error) => this.#onExit(error));
    return wrapped.remote;
  }

  async #becomeReady(worker: Worker, exited: Promise<MonocoreError>): Promise<void> {
    const ready = deferred<'ready'>();
    worker.on('message', (message) => {
      if (message === READY) ready.resolve('ready');
    });
    const outcome = await within(Promise.race([ready.promise, exited]), READY_TIMEOUT_MS);
    if (outcome === 'ready') return;
    await worker.terminate();
    if (outcome) throw outcome;
    throw new MonocoreError('CallTimeout', `the ${this.name} thread was not ready in ${READY_TIMEOUT_MS} ms`);
  }

  #onExit(error: MonocoreError): void {
    if (this.#stopping) return;
    this.#state = 'restarting';
    this.#setReady(this.#restart());
    this.#options.onDeath?.(error);
  }

  /** Restarts the worker until it is ready or stopped, with increasing delays. */
  async #restart(): Promise<Remote<Api>> {
    for (;;) {
      const skipped = deferred();
      this.#skipDelay = skipped.resolve;
      await within(skipped.promise, this.#delayMs);
      this.#delayMs = Math.min(this.#delayMs * 2, RESTART_DELAY_MAX_MS);
      if (this.#stopping) throw this.#stoppedError();
      this.#restarts += 1;
      try {
        return await this.#launch();
      } catch (error) {
        if (this.#stopping) throw this.#stoppedError();
        const isKnown = error instanceof MonocoreError;
        this.#options.onDeath?.(
          isKnown ? error : new MonocoreError('ThreadDied', errorTextWithPath(error), { cause: error }),
        );
      }
    }
  }

  #stoppedError(): MonocoreError {
    return new MonocoreError('ThreadDied', `the ${this.name} thread was stopped`);
  }
}
