/**
 * Timed reading of pipes that are written in small pieces. Waking up for each line costs more than the line itself, so
 * these pipes are read a few milliseconds later, when they contain more. A pipe that fills faster than a timer can fire
 * is read after the thread has slept briefly.
 */

/** Maximum time that a line waits in a pipe. */
const MAX_DELAY_MS = 7;
/**
 * Amount of data at which a pipe is read: less than half of its default size, because sleeping takes longer than
 * requested.
 */
const FILL_BYTES = 24_576;
/** Delays shorter than a timer allows are slept. */
const MIN_TIMER_MS = 1;
/** Shortest sleep; a shorter one costs more than it saves. */
const MIN_NAP_MS = 0.02;
/** Number of turns of the event loop in which a pipe must be empty to count as quiet. */
const QUIET_TURNS = 2;

/** Pipe that {@link BusyPipes} reads. */
export interface BusyPipe {
  /** Reads once. Returns the number of bytes: 0 at end of file, null if nothing is available now. */
  read(): number | null;
  /**
   * Called when the pipe has ended, is quiet, or is so busy that waiting is unnecessary. It is no longer read by {@link
   * BusyPipes}.
   */
  onUnsuited(): void;
}

interface Schedule {
  readAtMs: number;
  dueMs: number;
  emptyTurns: number;
}

/** Busy pipes of one thread. */
export class BusyPipes {
  readonly #bufferBytes: number;
  readonly #pipes = new Map<BusyPipe, Schedule>();
  readonly #nap = new Int32Array(new SharedArrayBuffer(4));
  #cancel: (() => void) | null = null;

  /** Creates the collection. @param bufferBytes maximum number of bytes that one read returns */
  constructor(bufferBytes: number) {
    this.#bufferBytes = bufferBytes;
  }

  add(pipe: BusyPipe): void {
    const nowMs = performance.now();
    this.#pipes.set(pipe, { readAtMs: nowMs, dueMs: nowMs + MAX_DELAY_MS, emptyTurns: 0 });
    if (!this.#cancel) this.#schedule();
  }

  remove(pipe: BusyPipe): void {
    this.#pipes.delete(pipe);
    if (this.#pipes.size > 0) return;
    this.#cancel?.();
    this.#cancel = null;
  }

  #schedule(): void {
    this.#cancel = null;
    if (this.#pipes.size === 0) return;
    let dueMs = Number.POSITIVE_INFINITY;
    for (const schedule of this.#pipes.values()) dueMs = Math.min(dueMs, schedule.dueMs);
    const delayMs = dueMs - performance.now();
    if (delayMs >= MIN_TIMER_MS) {
      const timer = setTimeout(() => this.#takeTurn(), delayMs);
      this.#cancel = () => clearTimeout(timer);
    } else {
      // Between two sleeps the event loop handles all other streams.
      const immediate = setImmediate(() => {
        if (delayMs >= MIN_NAP_MS) Atomics.wait(this.#nap, 0, 0, delayMs);
        this.#takeTurn();
      });
      this.#cancel = () => clearImmediate(immediate);
    }
  }

  #takeTurn(): void {
    const nowMs = performance.now();
    for (const [pipe, schedule] of this.#pipes) {
      // Pipes that are due soon are read in the same turn.
      if (nowMs - schedule.readAtMs >= (schedule.dueMs - schedule.readAtMs) / 2) this.#read(pipe, schedule, nowMs);
    }
    this.#schedule();
  }

  #read(pipe: BusyPipe, schedule: Schedule, nowMs: number): void {
    const bytes = pipe.read();
    schedule.emptyTurns = bytes === null ? schedule.emptyTurns + 1 : 0;
    if (!this.#pipes.has(pipe)) return;
    if (bytes === 0 || bytes === this.#bufferBytes || schedule.emptyTurns === QUIET_TURNS) {
      this.#pipes.delete(pipe);
      pipe.onUnsuited();
      return;
    }
    const fillMs = (FILL_BYTES / (bytes ?? 0)) * (nowMs - schedule.readAtMs);
    schedule.readAtMs = nowMs;
    schedule.dueMs = nowMs + Math.min(MAX_DELAY_MS, fillMs);
  }
}
