/** What was dropped, told now and then. */
import type { Clock } from '../../../src/lib/clock.ts';

/** The most often that somebody is told. */
const REPORT_INTERVAL_MS = 10_000;

/** A count of what was dropped. */
export interface Dropped {
  /** Newlines in it. */
  readonly lines: number;
  readonly bytes: number;
}

const NOTHING: Dropped = Object.freeze({ lines: 0, bytes: 0 });

/** Adds up what is dropped and tells of it at the end of a spell, and during a long one; at most every ten seconds. */
export class DropReport {
  readonly #clock: Clock;
  readonly #tell: (dropped: Dropped) => void;
  #untold = NOTHING;
  /** Set from the first drop, or the last telling, until ten seconds later. */
  #cancelWindow: (() => void) | null = null;
  #wasTold = false;

  /** @param tell gets what was dropped since it was called last */
  constructor(clock: Clock, tell: (dropped: Dropped) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  add({ lines, bytes }: Dropped): void {
    this.#untold = { lines: this.#untold.lines + lines, bytes: this.#untold.bytes + bytes };
    if (!this.#cancelWindow) this.#openWindow(false);
  }

  /** What the spell cost is told now, or as soon as it may be. */
  endSpell(): void {
    if (!this.#wasTold) this.#tellNow();
  }

  /** Tells what has not been told; nothing comes later. */
  close(): void {
    this.#cancelWindow?.();
    this.#cancelWindow = null;
    if (this.#untold.bytes > 0) this.#tell(this.#untold);
    this.#untold = NOTHING;
  }

  #tellNow(): void {
    if (this.#untold.bytes === 0) return;
    this.close();
    this.#openWindow(true);
  }

  #openWindow(wasTold: boolean): void {
    this.#wasTold = wasTold;
    this.#cancelWindow = this.#clock.after(REPORT_INTERVAL_MS, () => {
      this.#cancelWindow = null;
      this.#wasTold = false;
      this.#tellNow();
    });
  }
}
