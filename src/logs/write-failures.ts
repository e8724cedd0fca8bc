/**
 * Reports when logs cannot be written and when they can be written again: once per full disk, not for each stream on
 * it.
 */
import { type Clock, systemClock } from '../lib/clock.ts';
import type { Report } from '../lib/report.ts';
import { type StreamId, streamKey } from '../protocol/log-files/names.ts';

/** Time without a failure before recovery is reported; a full disk occasionally has a little space. */
const RECOVERY_MS = 10_000;

/** Period in which streams cannot be written for the same reason. */
interface Spell {
  readonly cause: string;
  /** Keys of the streams that are failing now, and of all that have failed in the period. */
  readonly stalled: Set<string>;
  readonly affected: Set<string>;
  /** Cancels the pending report of recovery. */
  cancelEnd: () => void;
}

/** Reports on streams that cannot be written. Main thread. */
export class WriteFailures {
  readonly #report: Report;
  readonly #clock: Clock;
  /**
   * Periods by error code, or by text if there is no code. The texts for one full disk differ, because they name a
   * file.
   */
  readonly #spells = new Map<string, Spell>();

  constructor(report: Report, clock: Clock = systemClock) {
    this.#report = report;
    this.#clock = clock;
  }

  /**
   * Records that a stream cannot be written.
   *
   * @param error for people; may name a file
   */
  begin(id: StreamId, { error, code }: { readonly error: string; readonly code: string | null }): void {
    const key = streamKey(id);
    const cause = code ?? error;
    let spell = this.#spells.get(cause);
    if (!spell) {
      spell = { cause, stalled: new Set(), affected: new Set(), cancelEnd: () => {} };
      this.#spells.set(cause, spell);
      const { service, stream } = id;
      const reason = `${error}; others may be affected, see \`monocore status\``;
      this.#report('warn', `${service}: its ${stream} cannot be written: ${reason}`);
    }
    spell.cancelEnd();
    spell.stalled.add(key);
    spell.affected.add(key);
  }

  /** Records that a stream can be written again or has ended. Ignores streams that never failed. */
  end(id: StreamId): void {
    const key = streamKey(id);
    const spell = [...this.#spells.values()].find(({ stalled }) => stalled.has(key));
    if (!spell) return;
    spell.stalled.delete(key);
    if (spell.stalled.size === 0) spell.cancelEnd = this.#clock.after(RECOVERY_MS, () => this.#close(spell));
  }

  /** Sends pending reports; none are sent afterwards. */
  close(): void {
    for (const spell of this.#spells.values()) {
      spell.cancelEnd();
      if (spell.stalled.size === 0) this.#close(spell);
    }
    this.#spells.clear();
  }

  #close({ cause, affected }: Spell): void {
    this.#spells.delete(cause);
    const streams = [...affected].sort();
    this.#report('info', `output can be written again: ${streams.join(', ')}`);
  }
}
