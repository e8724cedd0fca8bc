/** Searches several streams backward at once, for the start of the last records across all of them. */
import { streamKey } from '../../src/protocol/log-files/names.ts';
import type { FoundRecord, StreamEnd, TailState } from '../../src/protocol/log-files/queries.ts';
import { EARLIEST } from '../../src/protocol/log-files/record.ts';
import { BackwardScan, type ScanOptions } from './backward-scan.ts';
import { listStreamFiles } from './log-file.ts';
import { BLOCK_BYTES } from './stream-cursor.ts';
import { insertRanked, type Ranked } from './time-merge.ts';

interface TailSearchOptions extends ScanOptions {
  /** Returns true to interrupt the search; never by default. */
  readonly isDue?: () => boolean;
}

interface Candidate extends Ranked, FoundRecord {}

/** State of a search for the last `missing` records, before it starts. */
export function startTail(missing: number, streams: readonly StreamEnd[]): TailState {
  return {
    missing,
    streams: streams.map(({ id, end }) => ({ id, end, start: end, startTime: EARLIEST, at: end, next: null })),
  };
}

/**
 * Continues a search from `state`, always with the newest record that has not been counted yet.
 *
 * @returns the new state, and true if the search is complete
 */
export async function searchTail(
  state: TailState,
  options: TailSearchOptions,
): Promise<{ readonly state: TailState; readonly isDone: boolean }> {
  let { missing } = state;
  const places = [...state.streams];
  const wanted = new Set(places.map(({ id }) => streamKey(id)));
  const listed = await listStreamFiles(options.logDir, (id) => wanted.has(streamKey(id)));
  const memory = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  const scans = places.map(({ id, at }) => {
    const files = listed.find((stream) => streamKey(stream.id) === streamKey(id)) ?? { id, numbers: [] };
    return new BackwardScan({ ...options, files, end: at, memory });
  });
  const candidates: Candidate[] = [];
  /** Finds the next candidate record of a stream, if there is one; false if time ran out. */
  const look = async (rank: number): Promise<boolean> => {
    const place = places[rank]!;
    const found = place.next ?? (await scans[rank]!.previous(options.isDue));
    if (found === null || found === 'later') {
      places[rank] = { ...place, at: scans[rank]!.at };
      return found === null;
    }
    places[rank] = { ...place, at: found.start, next: found };
    insertRanked(candidates, { ...found, rank });
    return true;
  };
  const search = async (): Promise<boolean> => {
    if (missing === 0) return true;
    for (const rank of places.keys()) if (!(await look(rank))) return false;
    for (let newest = candidates.pop(); newest; newest = candidates.pop()) {
      const { rank, start, time } = newest;
      places[rank] = { ...places[rank]!, start, startTime: time, next: null };
      missing -= 1;
      if (missing === 0) return true;
      if (!(await look(rank))) return false;
    }
    return true;
  };
  try {
    const isDone = await search();
    return { state: { missing, streams: places }, isDone };
  } finally {
    await Promise.all(scans.map((scan) => scan.close()));
  }
}
