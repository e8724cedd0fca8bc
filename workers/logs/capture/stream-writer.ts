/**
 * Writes a stream to its files: converts bytes to records, queues what cannot be written yet, and retries.
 *
 * Long because the queue, periods of failure and the pool share one state.
 */
import type { Clock } from '../../../src/lib/clock.ts';
import { errorCode, errorText, errorTextWithPath } from '../../../src/lib/errors.ts';
import { LF } from '../../../src/protocol/log-files/record.ts';
import type { HeldItem } from '../../../src/protocol/logs.ts';
import { type FrameMemory, type Framer, INPUT_START } from '../format/framer.ts';
import type { Disk, FileWork } from './disk.ts';
import { type Dropped, DropReport } from './drop-report.ts';
import type { RollingFile } from './rolling-file.ts';

const RETRY_DELAY_MS = 250;
const RETRY_DELAY_MAX_MS = 5000;
/** Time that {@link StreamWriter.finish} waits for a disk that does not respond. */
const FINISH_TIMEOUT_MS = 2000;

/** System error codes for "no space", on the disk or because of `ulimit -f`. */
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Period in which writing fails. */
interface Spell {
  readonly delayMs: number;
  readonly cancelRetry: () => void;
  /** Set while new bytes are dropped, as text for people; null while their producer waits. */
  readonly dropReason: string | null;
}

/**
 * Events for the main thread. `stalled` and `recovered` mark the start and end of a period of failure; `dropped` has
 * the counts since the last one.
 */
export type WriterEvent =
  | { readonly type: 'stalled'; readonly error: string; readonly code: string | null }
  | { readonly type: 'recovered' }
  | ({ readonly type: 'dropped' } & Dropped)
  /** Everything before the marker is in the file. */
  | { readonly type: 'marker-seen' };

/** Receiver of events from a {@link StreamWriter}. */
export interface WriterEvents {
  post(event: WriterEvent): void;
  /** The queue is in use: bytes that arrive before `onReady` are kept in memory. */
  onBusy(): void;
  onReady(): void;
  /** More bytes have been written to the file. */
  onWritten(): void;
  /**
   * The queue must be passed to the main thread, see {@link StreamWriter.hold}: at the start of a period of failure and
   * at every change.
   */
  onHeld(): void;
  /** Everything is in the file. */
  onEnd(): void;
}

/** Parts that a writer needs. */
interface StreamWriterOptions {
  readonly memory: FrameMemory;
  readonly framer: Framer;
  readonly file: RollingFile;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly onFull: 'block' | 'drop';
  readonly events: WriterEvents;
}

/**
 * Writes a stream in order and exactly once. Normally nothing is copied or queued. While writing fails, output waits in
 * a queue and is retried, first after 250 ms, then with doubling delays up to 5 s. While the disk is slow, the queue is
 * written on libuv's pool.
 */
export class StreamWriter {
  readonly #options: StreamWriterOptions;
  readonly #drops: DropReport;
  /** Queued items; bytes in them are copies that never change. */
  readonly #queue: HeldItem[] = [];
  #isOpen = false;
  /** True if part of the first item may already be in the file, written by the previous writer. */
  #isResumed = false;
  #spell: Spell | null = null;
  #fault: unknown = null;
  /** Set while the pool is working. */
  #running: Promise<void> | null = null;
  #isBusy = false;
  /** True if the main thread has a copy of the queue, so that every change must be reported. */
  #isTold = false;
  #isEnding = false;
  #finished: Promise<{ lostBytes: number; isStuck: boolean }> | null = null;

  constructor(options: StreamWriterOptions) {
    this.#options = options;
    this.#drops = new DropReport(options.clock, (dropped) => options.events.post({ type: 'dropped', ...dropped }));
  }

  /**
   * Opens the file, so that it exists before the stream prints anything.
   *
   * @param held the queue of the previous writer
   */
  open(held: readonly HeldItem[] | null = null): void {
    this.#isTold = held !== null;
    this.#isResumed = held !== null;
    this.#queue.push(...(held ?? []));
    this.#attempt();
  }

  /** True if everything is in the file. */
  get isDone(): boolean {
    return this.#queue.length === 0;
  }

  /** Everything that is not in the file yet, for the next writer to pass to {@link StreamWriter.open}. */
  hold(): HeldItem[] {
    const [first, ...rest] = this.#queue;
    if (first?.type !== 'framed') return [...this.#queue];
    return [{ type: 'framed', bytes: first.bytes.subarray(this.#options.file.progressBytes) }, ...rest];
  }

  /** Called when the queue, or its position in the file, differs from what was reported. */
  noteChange(): void {
    if (this.#isTold) this.#tellHeld();
  }

  /** Writes bytes [from, to) of the memory, which must be within its input. */
  write(from: number, to: number): void {
    if (this.#isReady) this.#writeNow(from, to);
    else this.writeBytes(this.#options.memory.bytes.subarray(from, to));
  }

  /** Writes bytes from elsewhere; at most as many as the input of the memory can hold. */
  writeBytes(bytes: Buffer): void {
    if (this.#spell?.dropReason) this.#drop(bytes);
    else this.#submit({ type: 'raw', bytes: new Uint8Array(bytes) });
  }

  /** Ends a line that has begun. */
  endLine(): void {
    this.#submit({ type: 'end-line' });
  }

  /**
   * Posts `marker-seen` once everything before is in the file. While bytes are dropped, it does not wait for a full
   * disk.
   */
  mark(): void {
    if (this.#mayWait()) this.#submit({ type: 'marker-seen' });
    else this.#options.events.post({ type: 'marker-seen' });
  }

  /** Calls `onEnd` under the same conditions. Nothing may be written afterwards. */
  end(): void {
    this.#isEnding = true;
    const isAtRest = this.isDone && !this.#running && !this.#spell;
    if (!this.#mayWait() || isAtRest) this.#tellEnd();
  }

  /** Tries to write the queue now. */
  retry(): void {
    if (this.#spell && !this.#running) this.#attempt();
  }

  /**
   * Tries one last time to write the queue, then drops it.
   *
   * @returns the number of lost bytes, not counting those that `drop` permits; and whether a write is still in
   * progress, in which case the file must not be closed
   */
  finish(): Promise<{ lostBytes: number; isStuck: boolean }> {
    this.#finished ??= this.#finish();
    return this.#finished;
  }

  async #finish(): Promise<{ lostBytes: number; isStuck: boolean }> {
    this.#spell?.cancelRetry();
    const isStuck = await this.#tryLast();
    let lostBytes = 0;
    for (const item of this.hold()) if ('bytes' in item) lostBytes += item.bytes.length;
    this.#queue.length = 0;
    const mayDrop = this.#spell?.dropReason != null;
    if (mayDrop && lostBytes > 0) this.#drops.add({ lines: 0, bytes: lostBytes });
    this.#drops.close();
    return { lostBytes: mayDrop ? 0 : lostBytes, isStuck };
  }

  /** True if bytes can be written at once. */
  get #isReady(): boolean {
    const { disk, file } = this.#options;
    return this.#queue.length === 0 && !this.#spell && !this.#running && !disk.isSlow(file);
  }

  /** True if an event may wait for the disk; for a full disk, one last attempt is made first. */
  #mayWait(): boolean {
    if (this.#spell?.dropReason) this.retry();
    return !this.#spell?.dropReason;
  }

  #submit(item: HeldItem): void {
    this.#queue.push(item);
    this.noteChange();
    if (!this.#running && !this.#spell) this.#attempt();
  }

  /** Writes bytes of the memory as records without copying them. */
  #writeNow(from: number, to: number): void {
    const { memory, framer, clock, file, disk, events } = this.#options;
    const startMs = disk.stopwatch();
    const nowMs = clock.now();
    for (let at = from; at < to; ) {
      at = framer.frame(at, to, nowMs);
      const { output, outputStart, outputEnd } = memory;
      let written = file.writeNow(output, outputStart, outputEnd, nowMs);
      if (written < outputEnd && !this.#tryNow(file.write(output.subarray(written, outputEnd), nowMs))) {
        written += file.takeProgress();
        this.#queue.push({ type: 'framed', bytes: new Uint8Array(output.subarray(written, outputEnd)) });
        if (at < to) this.#queue.push({ type: 'raw', bytes: new Uint8Array(memory.bytes.subarray(at, to)) });
        this.#stall();
        break;
      }
    }
    disk.noteTime(file, startMs);
    events.onWritten();
  }

  #tryNow(work: FileWork<void>): boolean {
    try {
      this.#options.disk.runNow(work);
      return true;
    } catch (error) {
      this.#fault = error;
      return false;
    }
  }

  /** Processes the queue, on this thread or on the pool. */
  #attempt(): void {
    const { disk, file } = this.#options;
    const done = disk.run(file, this.#work());
    if (typeof done === 'boolean') {
      this.#settle(done);
      return;
    }
    this.#setBusy(true);
    this.#running = done.then((isDone) => {
      this.#running = null;
      this.#settle(isDone);
    });
  }

  /** Processes the queue; false if writing fails. Items may be added in the meantime. */
  *#work(): FileWork<boolean> {
    const { file, clock, events } = this.#options;
    try {
      if (!this.#isOpen) yield* file.open(clock.now());
    } catch (error) {
      this.#fault = error;
      return false;
    }
    if (!this.#isOpen) this.#noteOpen();
    for (let item = this.#queue[0]; item; item = this.#queue[0]) {
      if (item.type === 'framed') {
        if (!(yield* this.#writeFramed(item.bytes))) return false;
        continue;
      }
      this.#queue.shift();
      if (item.type === 'marker-seen') {
        this.#recover();
        events.post(item);
      } else {
        this.#queue.unshift(...this.#frame(item));
        this.noteChange();
      }
    }
    return true;
  }

  #noteOpen(): void {
    this.#isOpen = true;
    this.#options.events.onWritten();
    const written = this.#options.file.resume();
    if (!this.#isResumed) return;
    const [first] = this.#queue;
    if (first?.type === 'framed') this.#shorten(first.bytes, Math.min(written ?? 0, first.bytes.length));
    // The file in which the previous writer began a record is gone.
    else if (written === null && this.#options.framer.isInRecord) this.#options.framer.continueLine();
    this.noteChange();
  }

  *#writeFramed(bytes: Uint8Array): FileWork<boolean> {
    const { file, clock, events } = this.#options;
    let written = bytes.length;
    try {
      yield* file.write(asBuffer(bytes), clock.now());
    } catch (error) {
      this.#fault = error;
      written = file.takeProgress();
    }
    // The queue may have been dropped in the meantime.
    if (this.#queue[0]?.type === 'framed') this.#shorten(bytes, written);
    if (written > 0) events.onWritten();
    return written === bytes.length;
  }

  /** Removes the first `written` bytes from the first item, and the item itself if nothing is left. */
  #shorten(bytes: Uint8Array, written: number): void {
    const rest: HeldItem[] = written === bytes.length ? [] : [{ type: 'framed', bytes: bytes.subarray(written) }];
    this.#queue.splice(0, 1, ...rest);
  }

  /** Converts an item to records and the rest for which the memory had no room. */
  #frame(item: Exclude<HeldItem, { type: 'framed' | 'marker-seen' }>): HeldItem[] {
    const { memory, framer, clock } = this.#options;
    if (item.type === 'gap') return [{ type: 'framed', bytes: framer.notice(item.gap, clock.now()) }];
    if (item.type === 'end-line') {
      framer.endLine(clock.now());
      return [outputOf(memory)];
    }
    const { bytes } = item;
    memory.bytes.set(bytes, INPUT_START);
    const framed = framer.frame(INPUT_START, INPUT_START + bytes.length, clock.now()) - INPUT_START;
    const output = outputOf(memory);
    return framed === bytes.length ? [output] : [output, { type: 'raw', bytes: bytes.subarray(framed) }];
  }

  #settle(isDone: boolean): void {
    if (!isDone) {
      this.#stall();
    } else if (this.#queue.length > 0) {
      this.#attempt();
    } else {
      this.#recover();
      this.#setBusy(false);
      if (this.#isEnding && this.isDone) this.#tellEnd();
    }
  }

  #tellEnd(): void {
    if (!this.#isEnding) return;
    this.#isEnding = false;
    this.#options.events.onEnd();
  }

  #stall(): void {
    if (this.#finished) return;
    const { clock, onFull, events } = this.#options;
    const spell = this.#spell;
    spell?.cancelRetry();
    const delayMs = spell ? Math.min(spell.delayMs * 2, RETRY_DELAY_MAX_MS) : RETRY_DELAY_MS;
    const cancelRetry = clock.after(delayMs, () => this.#attempt());
    const mayDrop = onFull === 'drop' && FULL.has(errorCode(this.#fault) ?? '');
    const dropReason = spell?.dropReason ?? (mayDrop ? errorText(this.#fault) : null);
    this.#spell = { delayMs, cancelRetry, dropReason };
    this.#setBusy(dropReason === null);
    if (!this.#isTold) this.#tellHeld();
    if (!spell)
      events.post({ type: 'stalled', error: errorTextWithPath(this.#fault), code: errorCode(this.#fault) ?? null });
  }

  #recover(): void {
    if (this.#spell) {
      this.#spell.cancelRetry();
      this.#spell = null;
      this.#options.events.post({ type: 'recovered' });
      this.#drops.endSpell();
    }
    this.noteChange();
    // Items after a marker are still in the queue.
    if (this.isDone) this.#isTold = false;
  }

  #tellHeld(): void {
    if (this.#finished) return;
    this.#isTold = true;
    this.#options.events.onHeld();
  }

  /** Counts dropped bytes in a gap at the end of the queue, which becomes a record once there is space. */
  #drop(bytes: Buffer): void {
    let lines = 0;
    for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) lines += 1;
    this.#drops.add({ lines, bytes: bytes.length });
    const last = this.#queue.at(-1);
    const before = last?.type === 'gap' ? last.gap : { lines: 0, bytes: 0, reason: this.#spell!.dropReason! };
    if (last?.type === 'gap') this.#queue.pop();
    else this.#queue.push({ type: 'end-line' });
    const gap = { ...before, lines: before.lines + lines, bytes: before.bytes + bytes.length };
    this.#queue.push({ type: 'gap', gap });
  }

  #setBusy(isBusy: boolean): void {
    if (isBusy === this.#isBusy) return;
    this.#isBusy = isBusy;
    if (isBusy) this.#options.events.onBusy();
    else this.#options.events.onReady();
  }

  /** Makes a last attempt; true if the disk did not respond. */
  async #tryLast(): Promise<boolean> {
    const { disk, file, clock } = this.#options;
    const work = async (): Promise<boolean> => {
      await this.#running;
      if (!this.isDone || !this.#isOpen) await disk.run(file, this.#work());
      return false;
    };
    let cancel = () => {};
    const timeout = new Promise<true>((resolve) => {
      cancel = clock.after(FINISH_TIMEOUT_MS, () => resolve(true));
    });
    const isStuck = await Promise.race([work(), timeout]);
    cancel();
    return isStuck;
  }
}

/** Copy of the current output, because other streams reuse the memory. */
function outputOf({ output, outputStart, outputEnd }: FrameMemory): HeldItem {
  return { type: 'framed', bytes: new Uint8Array(output.subarray(outputStart, outputEnd)) };
}

function asBuffer({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}
