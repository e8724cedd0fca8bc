/** From the bytes of a stream to its files: framing, writing, and patience when writing fails or takes long. */
import type { Clock } from '../../../src/lib/clock.ts';
import { errorCode, errorText } from '../../../src/lib/errors.ts';
import type { HeldStep } from '../../../src/protocol/logs.ts';
import { type FrameMemory, type Framer, LF } from '../format/framer.ts';
import { type Dropped, DropReport } from './drop-report.ts';
import type { RecordWriter } from './record-writer.ts';
import { StepQueue } from './step-queue.ts';
import { type CallStep, copyOutput, DONE, type Step } from './steps.ts';

const RETRY_DELAY_MS = 250;
const RETRY_DELAY_MAX_MS = 5000;
/** How long {@link RecordSink.finish} waits for a disk that does not answer. */
const FINISH_TIMEOUT_MS = 2000;

/** Codes of the system for "no space". */
const FULL = new Set(['ENOSPC', 'EDQUOT']);

/** A time in which writing fails. */
interface Spell {
  readonly delayMs: number;
  readonly cancel: () => void;
  /** Bytes that come meanwhile are dropped; null where their writer waits. */
  readonly drops: { lines: number; bytes: number; readonly reason: string } | null;
}

/** What a sink writes to, and whom it tells. */
export interface RecordSinkOptions {
  readonly memory: FrameMemory;
  readonly writer: RecordWriter;
  readonly framer: Framer;
  readonly clock: Clock;
  readonly onFull: 'block' | 'drop';
  /** Give nothing more until `onReady`, or it is kept in memory. */
  readonly onHold: () => void;
  readonly onReady: () => void;
  /** Writing fails; told once per spell. */
  readonly onStalled: (error: unknown) => void;
  readonly onRecovered: () => void;
  /** What was dropped since it was called last. */
  readonly onDropped: (dropped: Dropped) => void;
  /** What is held is to be told, see {@link RecordSink.hold}: when a spell begins, whenever it changes, at the end. */
  readonly onHeld?: () => void;
  /** See `StepQueueOptions`. */
  readonly onElsewhere?: () => void;
}

/**
 * Takes a stream in order and writes it exactly once. While writing fails, what it was given last is kept and tried
 * again from where it stood, first after 250 ms, then after twice as long each time up to 5 s. While the disk is slow it
 * is written to on libuv's pool, one piece at a time.
 */
export class RecordSink {
  readonly #options: RecordSinkOptions;
  readonly #report: DropReport;
  readonly #queue: StepQueue;
  #spell: Spell | null = null;
  /** Set while work is done on the pool. */
  #running: Promise<void> | null = null;
  #isHeld = false;
  /** What is held was told, so every change has to be. */
  #isTold = false;
  #isFinishing = false;

  constructor(options: RecordSinkOptions) {
    this.#options = options;
    this.#report = new DropReport(options.clock, options.onDropped);
    const onCall = (step: CallStep): void => {
      this.#recover();
      step.run();
    };
    this.#queue = new StepQueue({ ...options, onCall, onChanged: () => this.noteChange() });
  }

  /** Opens the file, so that it is there before the stream says anything. */
  open(): void {
    this.#submit({ type: 'open' });
  }

  /** As {@link RecordSink.open}, and goes on with what another sink held. */
  resume(held: readonly Step[]): void {
    this.#isTold = true;
    this.#queue.resume(held);
    this.#attempt();
  }

  /** Whether everything that was given is in the file. */
  get isDone(): boolean {
    return this.#queue.isEmpty && !this.#spell?.drops?.bytes;
  }

  /** What is not in the file, for another sink to {@link RecordSink.resume}. */
  hold(): HeldStep[] {
    const held = this.#queue.hold();
    const drops = this.#spell?.drops;
    if (!drops || drops.bytes === 0) return held;
    const { lines, bytes, reason } = drops;
    return [...held, { type: 'end-line' }, { type: 'gap', gap: { lines, bytes, reason } }];
  }

  /** What is held, or where it belongs, is not as it was told. */
  noteChange(): void {
    if (this.#isTold) this.#tellHeld();
  }

  /** Takes bytes [from, to) of the memory, which must lie in its input. */
  write(from: number, to: number): void {
    const { bytes } = this.#options.memory;
    if (this.#spell?.drops) this.#drop(bytes.subarray(from, to));
    else if (this.#isAtOnce) this.#keep(this.#writeRaw(from, to));
    else this.#enqueue({ type: 'raw', bytes: Buffer.from(bytes.subarray(from, to)) });
  }

  /** Takes bytes from elsewhere; at most as many as the memory takes as input. */
  writeBytes(bytes: Buffer): void {
    if (this.#spell?.drops) this.#drop(bytes);
    else this.#submit({ type: 'raw', bytes });
  }

  /** Ends the line that has begun, if one has. */
  endLine(): void {
    this.#submit({ type: 'end-line' });
  }

  /**
   * Calls `run` once everything that was given before is in the file; at once when it is already, or when the disk is
   * full and what comes is dropped.
   *
   * @param tells see {@link CallStep}
   */
  afterWrites(tells: CallStep['tells'], run: () => void): void {
    if (this.#spell?.drops && !this.#running) this.#settle(this.#queue.work());
    if (this.#spell?.drops) run();
    else this.#submit({ type: 'call', tells, run });
  }

  /**
   * Tries a last time to write what waits, then gives up.
   *
   * @returns bytes that are lost, without those that are dropped because the disk is full; and whether a write is still
   * on its way, so that the file must not be closed
   */
  async finish(): Promise<{ lostBytes: number; isStuck: boolean }> {
    this.#isFinishing = true;
    this.#spell?.cancel();
    const isStuck = await this.#lastTry();
    const lostBytes = this.#queue.bytes;
    this.#queue.clear();
    const drops = this.#spell?.drops;
    if (drops && lostBytes > 0) this.#report.add({ lines: 0, bytes: lostBytes });
    this.#report.close();
    return { lostBytes: drops ? 0 : lostBytes, isStuck };
  }

  get #isAtOnce(): boolean {
    return this.#queue.isEmpty && !this.#running && !this.#options.writer.isSlow;
  }

  #submit(step: Step): void {
    if (this.#isAtOnce) {
      this.#queue.push(step);
      if (!this.#queue.work()) this.#stall();
    } else {
      this.#enqueue(step);
    }
  }

  #enqueue(step: Step): void {
    this.#queue.push(step);
    this.noteChange();
    if (!this.#running && !this.#spell) this.#attempt();
  }

  #keep(left: readonly Step[]): void {
    if (left.length === 0) return;
    this.#queue.push(...left);
    this.#stall();
  }

  #attempt(): void {
    if (this.#options.writer.isSlow) this.#running = this.#attemptAsync();
    else this.#settle(this.#queue.work());
  }

  async #attemptAsync(): Promise<void> {
    this.#hold();
    const isDone = await this.#queue.workAsync();
    this.#running = null;
    this.#settle(isDone);
  }

  #settle(isDone: boolean): void {
    if (!isDone) {
      this.#stall();
      return;
    }
    const drops = this.#spell?.drops;
    if (drops && drops.bytes > 0) {
      const { lines, bytes, reason } = drops;
      drops.lines = 0;
      drops.bytes = 0;
      this.#queue.push({ type: 'end-line' }, { type: 'gap', gap: { lines, bytes, reason } });
      this.#attempt();
      return;
    }
    this.#recover();
    this.#release();
  }

  /** The way of a chunk while all is well: nothing is copied. */
  #writeRaw(from: number, to: number): readonly Step[] {
    const { memory, framer, clock, writer } = this.#options;
    const nowMs = clock.now();
    let at = from;
    while (at < to) {
      at = framer.frame(at, to, nowMs);
      const { output, outputStart, outputEnd } = memory;
      const written = writer.write(output, outputStart, outputEnd);
      if (written < outputEnd) {
        const left = copyOutput(memory, written);
        return at === to ? [left] : [left, { type: 'raw', bytes: Buffer.from(memory.bytes.subarray(at, to)) }];
      }
    }
    return DONE;
  }

  #stall(): void {
    if (this.#isFinishing) return;
    const { clock, onFull, onStalled, writer } = this.#options;
    const spell = this.#spell;
    spell?.cancel();
    const delayMs = spell ? Math.min(spell.delayMs * 2, RETRY_DELAY_MAX_MS) : RETRY_DELAY_MS;
    const cancel = clock.after(delayMs, () => this.#attempt());
    const dropsNow = onFull === 'drop' && FULL.has(errorCode(writer.fault) ?? '');
    const drops = spell?.drops ?? (dropsNow ? { lines: 0, bytes: 0, reason: errorText(writer.fault) } : null);
    this.#spell = { delayMs, cancel, drops };
    if (drops) this.#release();
    else this.#hold();
    if (!spell) onStalled(writer.fault);
    if (!this.#isTold) this.#tellHeld();
  }

  #tellHeld(): void {
    if (this.#isFinishing) return;
    this.#isTold = true;
    this.#options.onHeld?.();
  }

  #recover(): void {
    if (this.#spell) {
      this.#spell.cancel();
      this.#spell = null;
      this.#options.onRecovered();
      this.#report.endSpell();
    }
    this.noteChange();
    // What comes behind a marker waits still.
    if (this.isDone) this.#isTold = false;
  }

  #drop(bytes: Buffer): void {
    const drops = this.#spell?.drops;
    if (!drops) return;
    let lines = 0;
    for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) lines += 1;
    drops.lines += lines;
    drops.bytes += bytes.length;
    this.#report.add({ lines, bytes: bytes.length });
  }

  #hold(): void {
    if (this.#isHeld) return;
    this.#isHeld = true;
    this.#options.onHold();
  }

  #release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#options.onReady();
  }

  /** Returns whether the disk did not answer. */
  async #lastTry(): Promise<boolean> {
    const work = (async () => {
      await this.#running;
      if (this.#options.writer.isSlow) await this.#queue.workAsync();
      else this.#queue.work();
      return false;
    })();
    let cancel = () => {};
    const timeout = new Promise<true>((resolve) => {
      cancel = this.#options.clock.after(FINISH_TIMEOUT_MS, () => resolve(true));
    });
    const isStuck = await Promise.race([work, timeout]);
    cancel();
    return isStuck;
  }
}
