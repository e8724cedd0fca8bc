/** Rate-limited reports of dropped bytes. */
import type { Clock } from '../../../src/lib/clock.ts';

/** Minimum time between two reports. */
const REPORT_INTERVAL_MS = 10_000;

/** Amount of dropped output. */
export interface Dropped {
  /** Number of newlines in it. */
  readonly lines: number;
  readonly bytes: number;
}

const NOTHING: Dropped = Object.freeze({ lines: 0, bytes: 0 });

/** Counts dropped output. Reports it when dropping ends, and every ten seconds while it continues. */
export class DropReport {
  readonly #clock: Clock;
  readonly #report: (dropped: Dropped) => void;
  #unreported = NOTHING;
  /** Set for ten seconds after the first drop or the last report. */
  #cancelWindow: (() => void) | null = null;
  #wasReported = false;

  /** Creates the report. @param report receives the counts since its last call */
  constructor(clock: Clock, report: (dropped: Dropped) => void) {
    this.#clock = clock;
    this.#report = report;
  }

  add({ lines, bytes }: Dropped): void {
    this.#unreported = { lines: this.#unreported.lines + lines, bytes: this.#unreported.bytes + bytes };
    if (!this.#cancelWindow) this.#openWindow(false);
  }

  /** Reports now, or as soon as the interval allows. */
  endSpell(): void {
    if (!this.#wasReported) this.#reportNow();
  }

  /** Reports what is left; no further report follows. */
  close(): void {
    this.#cancelWindow?.();
    this.#cancelWindow = null;
    if (this.#unreported.bytes > 0) this.#report(this.#unreported);
    this.#unreported = NOTHING;
  }

  #reportNow(): void {
    if (this.#unreported.bytes === 0) return;
    this.close();
    this.#openWindow(true);
  }

  #openWindow(wasReported: boolean): void {
    this.#wasReported = wasReported;
    this.#cancelWindow = this.#clock.after(REPORT_INTERVAL_MS, () => {
      this.#cancelWindow = null;
      this.#wasReported = false;
      this.#reportNow();
    });
  }
}
