/** Text of a line that has no newline yet, such as a prompt, for the health check `log_line`. */
import type { Clock } from '../../../src/lib/clock.ts';
import { LF } from '../../../src/protocol/log-files/record.ts';

/** Delay from a new text to the report: almost every line gets its newline before. */
const REPORT_DELAY_MS = 250;
/** Size of the end of the line that is kept. */
export const MAX_PARTIAL_BYTES = 4096;

/** Reports the end of an unfinished line, at most once for each text. */
export class PartialLine {
  readonly #clock: Clock;
  readonly #onText: (text: string) => void;
  #line: Buffer = Buffer.alloc(0);
  #cancelReport: (() => void) | null = null;

  constructor(clock: Clock, onText: (text: string) => void) {
    this.#clock = clock;
    this.#onText = onText;
  }

  /** Takes the next bytes of the stream; copies what it keeps. */
  take(bytes: Buffer): void {
    if (bytes.length === 0) return;
    const start = bytes.lastIndexOf(LF) + 1;
    if (start > 0) this.close();
    const added = bytes.subarray(Math.max(start, bytes.length - MAX_PARTIAL_BYTES));
    const kept =
      start > 0 ? [] : [this.#line.subarray(Math.max(0, this.#line.length + added.length - MAX_PARTIAL_BYTES))];
    this.#line = Buffer.concat([...kept, added]);
    if (this.#line.length > 0) this.#cancelReport ??= this.#clock.after(REPORT_DELAY_MS, () => this.#report());
  }

  /** Cancels the report. */
  close(): void {
    this.#cancelReport?.();
    this.#cancelReport = null;
  }

  #report(): void {
    this.#cancelReport = null;
    this.#onText(this.#line.toString());
  }
}
