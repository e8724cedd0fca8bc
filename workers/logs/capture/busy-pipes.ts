/**
 * Timed reading of pipes that are written in small pieces. Waking up for each line costs more than the line itself, so
 * these pipes are read a few milliseconds later, when more is in them. A pipe that fills faster than a timer can fire is
 * read after a nap of the thread.
 */

/** The most that a line waits in a pipe. */
const MAX_DELAY_MS = 7;
/** A pipe is read when it holds about this much: less than half of its default size, because a nap takes longer than asked. */
const FILL_BYTES = 24_576;
/** A shorter wait than that of a timer is a nap. */
const MIN_TIMER_MS = 1;
/** A shorter nap costs more than it saves. */
const MIN_NAP_MS = 0.02;
/** Turns in which a pipe was empty, after which it is quiet. */
const QUIET_TURNS = 2;

/** A pipe that is read by {@link BusyPipes}. */
export interface BusyPipe {
  /** Reads once. Returns the number of bytes: 0 at the end of the file, null when there are none for now. */
  read(): number | null;
  /** The pipe has ended, is quiet, or is so busy that nobody need wait for it. It is not read any more. */
  onUnsuited(): void;
}

interface Schedule {
  readAtMs: number;
  dueMs: number;
  emptyTurns: number;
}

/** The busy pipes of one thread. */
export class BusyPipes {
  readonly #bufferBytes: number;
  readonly #pipes = new Map<BusyPipe, Schedule>();
  readonly #nap = new Int32Array(new SharedArrayBuffer(4));
  #cancel: (() => void) | null = null;

  /** @param bufferBytes the most that one read returns */
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
      // Between two naps the event loop has a turn for all other streams.
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
