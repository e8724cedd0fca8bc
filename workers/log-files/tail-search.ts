/** Backward search of several streams at once, for the start of the last records over all of them. */
import { streamKey } from '../../src/protocol/log-files/names.ts';
import type { FoundRecord, TailPlace, TailState } from '../../src/protocol/log-files/queries.ts';
import { BackwardScan, type RecordTest } from './backward-scan.ts';
import { listStreamFiles, type StreamFiles } from './log-file.ts';
import { BLOCK_BYTES } from './stream-cursor.ts';
import { insertRanked, type Ranked } from './time-merge.ts';

interface TailSearchOptions {
  readonly logDir: string;
  /** Selects the records that count; all by default. */
  readonly wants?: RecordTest | null;
  /** Skip files last written before, milliseconds since the epoch. */
  readonly sinceMs?: number | null;
  /** Ends the search for now when it returns true; never by default. */
  readonly isDue?: () => boolean;
}

interface Candidate extends Ranked, FoundRecord {}

/**
 * Continues a search from `state`, always to the newest record that is not counted yet.
 *
 * @returns the new state, and true if the search is complete
 */
export async function searchTail(
  state: TailState,
  options: TailSearchOptions,
): Promise<{ readonly state: TailState; readonly isDone: boolean }> {
  const search = new TailSearch(state, options);
  try {
    const isDone = await search.run(await listFiles(options.logDir, state.streams));
    return { state: search.state, isDone };
  } finally {
    await search.close();
  }
}

class TailSearch {
  readonly #options: TailSearchOptions;
  readonly #places: TailPlace[];
  readonly #candidates: Candidate[] = [];
  #scans: BackwardScan[] = [];
  #missing: number;

  constructor({ missing, streams }: TailState, options: TailSearchOptions) {
    this.#options = options;
    this.#missing = missing;
    this.#places = [...streams];
  }

  get state(): TailState {
    return { missing: this.#missing, streams: this.#places };
  }

  /** Returns true if the search is complete. */
  async run(files: readonly StreamFiles[]): Promise<boolean> {
    if (this.#missing === 0) return true;
    const { logDir, wants = null, sinceMs = null } = this.#options;
    const memory = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#scans = this.#places.map(
      ({ at }, rank) => new BackwardScan({ logDir, files: files[rank]!, end: at, wants, sinceMs, memory }),
    );
    for (const rank of this.#places.keys()) if (!(await this.#look(rank))) return false;
    for (let newest = this.#candidates.pop(); newest; newest = this.#candidates.pop()) {
      const { rank, start, time } = newest;
      this.#places[rank] = { ...this.#places[rank]!, start, startTime: time, next: null };
      this.#missing -= 1;
      if (this.#missing === 0) return true;
      if (!(await this.#look(rank))) return false;
    }
    return true;
  }

  async close(): Promise<void> {
    await Promise.all(this.#scans.map((scan) => scan.close()));
  }

  /** Makes the next record of a stream a candidate, if there is one; false if there was no time to find it. */
  async #look(rank: number): Promise<boolean> {
    const place = this.#places[rank]!;
    const scan = this.#scans[rank]!;
    const found = place.next ?? (await scan.previous(this.#options.isDue));
    if (found === null || found === 'later') {
      this.#places[rank] = { ...place, at: scan.at };
      return found === null;
    }
    this.#places[rank] = { ...place, at: found.start, next: found };
    insertRanked(this.#candidates, { ...found, rank });
    return true;
  }
}

/** Files of each stream up to its end, including files that were begun after the folder was listed. */
async function listFiles(logDir: string, streams: readonly TailPlace[]): Promise<StreamFiles[]> {
  const wanted = new Set(streams.map(({ id }) => streamKey(id)));
  const listed = await listStreamFiles(logDir, (id) => wanted.has(streamKey(id)));
  return streams.map(({ id, end }) => {
    const numbers = [...(listed.find((files) => streamKey(files.id) === streamKey(id))?.numbers ?? [])];
    for (let number = (numbers.at(-1) ?? 0) + 1; number <= end.number; number += 1) numbers.push(number);
    return { id, numbers };
  });
}
