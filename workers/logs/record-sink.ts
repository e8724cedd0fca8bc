/** From the bytes of a stream to its files: framing, writing, and patience when writing fails. */
import type { Clock } from '../../src/clock.ts';
import { endLine, type FrameMemory, frame, INPUT_START, newFramerState, OUTPUT_START } from './framer.ts';
import type { RollingFile } from './rolling-file.ts';

const RETRY_DELAY_MS = 250;
const RETRY_DELAY_MAX_MS = 5000;

/** Work that waits for the disk, in order. */
type Step =
  | { readonly type: 'open' }
  /** Records that were framed already. */
  | { readonly type: 'framed'; readonly bytes: Buffer }
  /** Bytes of the stream; at most as many as the memory takes as input. */
  | { readonly type: 'raw'; readonly bytes: Buffer }
  | { readonly type: 'end-line' }
  | { readonly type: 'call'; readonly run: () => void };

const DONE: readonly Step[] = Object.freeze([]);

/** What a sink writes to, and whom it tells. */
export interface RecordSinkOptions {
  readonly memory: FrameMemory;
  readonly file: RollingFile;
  /** See `recordLabel`. */
  readonly label: Uint8Array;
  readonly clock: Clock;
  /** Something was written; called once per piece. */
  readonly onWritten: () => void;
  /** Writing fails: give nothing more until `onRecovered`, or it is kept in memory. Once per spell. */
  readonly onStalled: (error: unknown) => void;
  readonly onRecovered: () => void;
}

/**
 * Takes a stream in order and writes it exactly once. While writing fails, what it was given last is kept and tried
 * again from where it stood, first after 250 ms, then after twice as long each time up to 5 s.
 */
export class RecordSink {
  readonly #options: RecordSinkOptions;
  readonly #framer = newFramerState();
  readonly #waiting: Step[] = [];
  #fault: unknown = null;
  #spell: { delayMs: number; cancel: () => void } | null = null;

  constructor(options: RecordSinkOptions) {
    this.#options = options;
  }

  /** Lines that have ended. */
  get lines(): number {
    return this.#framer.lines;
  }

  /** Opens the file, so that it is there before the stream says anything. */
  open(): void {
    this.#submit({ type: 'open' });
  }

  /** Takes bytes [from, to) of the memory, which must lie in its input. */
  write(from: number, to: number): void {
    if (this.#waiting.length === 0) this.#keep(this.#writeRaw(from, to));
    else this.#waiting.push({ type: 'raw', bytes: Buffer.from(this.#options.memory.bytes.subarray(from, to)) });
  }

  /** Takes bytes from elsewhere; at most as many as the memory takes as input. */
  writeBytes(bytes: Buffer): void {
    this.#submit({ type: 'raw', bytes });
  }

  /** Ends the line that has begun, if one has. */
  endLine(): void {
    this.#submit({ type: 'end-line' });
  }

  /** Calls `run` once everything that was given before is in the file; at once when it is already. */
  afterWrites(run: () => void): void {
    this.#submit({ type: 'call', run });
  }

  /**
   * Tries a last time to write what waits, then gives up.
   *
   * @returns bytes that are lost
   */
  finish(): number {
    this.#spell?.cancel();
    this.#work();
    let lostBytes = 0;
    for (const step of this.#waiting) if ('bytes' in step) lostBytes += step.bytes.length;
    this.#waiting.length = 0;
    return lostBytes;
  }

  #submit(step: Step): void {
    if (this.#waiting.length > 0) this.#waiting.push(step);
    else this.#keep(this.#perform(step));
  }

  #keep(left: readonly Step[]): void {
    if (left.length === 0) return;
    this.#waiting.push(...left);
    this.#stall();
  }

  /** Returns what is left of `step`, for a later try. */
  #perform(step: Step): readonly Step[] {
    const { memory, clock } = this.#options;
    switch (step.type) {
      case 'open':
        return this.#open() ? DONE : [step];
      case 'framed': {
        const at = this.#put(step.bytes, 0, step.bytes.length);
        return at === step.bytes.length ? DONE : [{ type: 'framed', bytes: step.bytes.subarray(at) }];
      }
      case 'raw':
        memory.bytes.set(step.bytes, INPUT_START);
        return this.#writeRaw(INPUT_START, INPUT_START + step.bytes.length);
      case 'end-line':
        memory.setPrefix(this.#options.label, clock.now());
        endLine(memory, this.#framer);
        return this.#putOutput();
      case 'call':
        this.#recover();
        step.run();
        return DONE;
    }
  }

  #writeRaw(from: number, to: number): readonly Step[] {
    const { memory, label, clock } = this.#options;
    memory.setPrefix(label, clock.now());
    let at = from;
    while (at < to) {
      at = frame(memory, this.#framer, at, to);
      const left = this.#putOutput();
      if (left.length > 0) {
        return at === to ? left : [...left, { type: 'raw', bytes: Buffer.from(memory.bytes.subarray(at, to)) }];
      }
    }
    return DONE;
  }

  /** Writes the memory's output. What is left is copied: the memory belongs to the next stream. */
  #putOutput(): readonly Step[] {
    const { bytes, outputEnd } = this.#options.memory;
    const at = this.#put(bytes, OUTPUT_START, outputEnd);
    return at === outputEnd ? DONE : [{ type: 'framed', bytes: Buffer.from(bytes.subarray(at, outputEnd)) }];
  }

  #put(bytes: Buffer, from: number, to: number): number {
    const { file, clock, onWritten } = this.#options;
    const at = file.write(bytes, from, to, clock.now(), (error) => {
      this.#fault = error;
    });
    if (at > from) onWritten();
    return at;
  }

  #open(): boolean {
    try {
      this.#options.file.open(this.#options.clock.now());
    } catch (error) {
      this.#fault = error;
      return false;
    }
    this.#options.onWritten();
    return true;
  }

  #stall(): void {
    const isNew = this.#spell === null;
    const delayMs = this.#spell ? Math.min(this.#spell.delayMs * 2, RETRY_DELAY_MAX_MS) : RETRY_DELAY_MS;
    this.#spell = { delayMs, cancel: this.#options.clock.after(delayMs, () => this.#retry()) };
    if (isNew) this.#options.onStalled(this.#fault);
  }

  #retry(): void {
    if (this.#work()) this.#recover();
    else this.#stall();
  }

  #recover(): void {
    if (!this.#spell) return;
    this.#spell.cancel();
    this.#spell = null;
    this.#options.onRecovered();
  }

  /** Works off what waits; false when writing fails. */
  #work(): boolean {
    for (let step = this.#waiting.shift(); step; step = this.#waiting.shift()) {
      const left = this.#perform(step);
      if (left.length === 0) continue;
      this.#waiting.unshift(...left);
      return false;
    }
    return true;
  }
}
