/** Writes framed records to the files of one stream, at once or on libuv's pool, and notes how long the disk takes. */
import type { Clock } from '../../../src/lib/clock.ts';
import type { RollingFile } from './rolling-file.ts';
import type { DiskPace } from './slow-disk.ts';

/** What a writer writes to. */
export interface RecordWriterOptions {
  readonly file: RollingFile;
  readonly clock: Clock;
  readonly pace: DiskPace;
  /** Something was written; called once per piece. */
  readonly onWritten: () => void;
  /** Milliseconds of a clock that only rises. */
  readonly stopwatch?: () => number;
}

/** One call at a time. */
export class RecordWriter {
  /** Why the last call did not do everything. */
  fault: unknown = null;
  readonly #options: RecordWriterOptions;
  readonly #stopwatch: () => number;

  constructor(options: RecordWriterOptions) {
    this.#options = options;
    this.#stopwatch = options.stopwatch ?? (() => performance.now());
  }

  /** Whether the disk may stop the thread. */
  get isSlow(): boolean {
    return this.#options.pace.isSlow(this.#options.file.dev);
  }

  /** See {@link RollingFile.progressBytes}. */
  get progressBytes(): number {
    return this.#options.file.progressBytes;
  }

  /** See {@link RollingFile.resume}. */
  resume(): number | null {
    return this.#options.file.resume();
  }

  /** Opens the file, so that it is there before the stream says anything; false when that fails. */
  open(): boolean {
    const { file, clock, onWritten } = this.#options;
    const startMs = this.#stopwatch();
    try {
      file.open(clock.now());
    } catch (error) {
      this.fault = error;
      return false;
    }
    this.#noteTime(startMs);
    onWritten();
    return true;
  }

  /** Writes bytes [from, to) and returns how far it came. */
  write(bytes: Buffer, from: number, to: number): number {
    if (from === to) return to;
    const { file, clock, onWritten } = this.#options;
    const startMs = this.#stopwatch();
    const at = file.write(bytes, from, to, clock.now(), (error) => {
      this.fault = error;
    });
    this.#noteTime(startMs);
    if (at > from) onWritten();
    return at;
  }

  /** As {@link RecordWriter.open}, without stopping the thread. */
  openAsync(): Promise<boolean> {
    const { file, clock, pace, onWritten } = this.#options;
    return pace.inTurn(async () => {
      try {
        await file.openAsync(clock.now());
      } catch (error) {
        this.fault = error;
        return false;
      }
      onWritten();
      return true;
    });
  }

  /** As {@link RecordWriter.write} for all of `bytes`, without stopping the thread. They must not change meanwhile. */
  async writeAsync(bytes: Buffer): Promise<number> {
    const { file, clock, pace, onWritten } = this.#options;
    const at = await pace.inTurn(async () => {
      const startMs = this.#stopwatch();
      const end = await file.writeAsync(bytes, clock.now(), (error) => {
        this.fault = error;
      });
      this.#noteTime(startMs);
      return end;
    });
    if (at > 0) onWritten();
    return at;
  }

  #noteTime(startMs: number): void {
    this.#options.pace.note(this.#options.file.dev, this.#stopwatch() - startMs);
  }
}
