/**
 * Page of a search of log files. If the query has a tail, it first scans backward for the last matching records. It
 * then scans forward to deliver records, until all have been delivered or its time is up.
 */
import { stripVTControlCharacters } from 'node:util';
import { toWireError } from '../../../src/lib/errors.ts';
import type { MatchLineJob, SearchLogsJob } from '../../../src/protocol/jobs.ts';
import { recordText, recordTime } from '../../../src/protocol/log-files/formats.ts';
import { type Position, streamKey } from '../../../src/protocol/log-files/names.ts';
import {
  compilePattern,
  type LogFilter,
  type LogPattern,
  type SearchOrder,
  type SearchPlace,
  type SearchReply,
  type SearchState,
  type TailState,
} from '../../../src/protocol/log-files/queries.ts';
import { EARLIEST, LF } from '../../../src/protocol/log-files/record.ts';
import { MAX_SEEN_BYTES, type RecordTest } from '../../log-files/backward-scan.ts';
import { ChunkWindow, ReaderGone } from '../../log-files/chunk-window.ts';
import { type Block, makeBlocks, StreamCursor } from '../../log-files/stream-cursor.ts';
import { searchTail } from '../../log-files/tail-search.ts';
import { placeIn, type Run, TimeMerge } from '../../log-files/time-merge.ts';
import { makeTimeTest } from '../../log-files/time-range.ts';

/** Duration of a page, counted from its first record. */
const PAGE_MS = 1000;
/** Time to wait for a reader that is not reading: somebody may be using a pager. */
const PATIENCE_MS = 200;
/** Interval of keep-alive messages, while nothing blocks the event loop. */
const ALIVE_INTERVAL_MS = 1000;

/** Limits of a page; tests use smaller ones. */
export interface PageLimits {
  /** Returns true to end the page at the next record. */
  readonly isDue: () => boolean;
  /** Time to wait for a reader that is not reading. */
  readonly patienceMs: number;
}

/** Runs one page of a search. Reports its result on the port; never throws. */
export async function searchLogs(job: SearchLogsJob, limits: PageLimits = makeLimits()): Promise<void> {
  const { port } = job;
  const removed = new Set<string>();
  port.on('message', (order: SearchOrder) => {
    if (!(order instanceof ArrayBuffer)) removed.add(streamKey(order.id));
  });
  const window = new ChunkWindow(port, 0);
  const post = (reply: SearchReply, buffers: readonly ArrayBuffer[] = []) => port.postMessage(reply, [...buffers]);
  post({ type: 'alive' });
  const alive = setInterval(() => post({ type: 'alive' }), ALIVE_INTERVAL_MS);
  try {
    const state = await runPage(job, window, removed, limits);
    window.flush();
    const unused = window.takeUnused();
    post({ type: 'page', state, unused }, unused);
  } catch (error) {
    if (!(error instanceof ReaderGone)) post({ type: 'error', error: toWireError(error) });
  } finally {
    clearInterval(alive);
    port.close();
  }
}

async function runPage(
  job: SearchLogsJob,
  window: ChunkWindow,
  removed: ReadonlySet<string>,
  limits: PageLimits,
): Promise<SearchState> {
  const { logDir, filter, state } = job;
  const options = { ...limits, window, wants: makeRecordTest(filter) };
  if (state.phase !== 'tail') return deliver(job, state.places, removed, options);
  const { wants, isDue } = options;
  const { state: tail, isDone } = await searchTail(state.tail, { logDir, wants, sinceMs: filter.sinceMs, isDue });
  if (!isDone) return { phase: 'tail', tail };
  const places = placesOf(tail).filter(({ id }) => !removed.has(streamKey(id)));
  return deliver(job, places, removed, options);
}

function placesOf({ streams }: TailState): SearchPlace[] {
  return streams.map(({ id, start, startTime, end }) => ({ id, at: start, end, time: startTime, isInRecord: false }));
}

function makeLimits(): PageLimits {
  let dueMs: number | null = null;
  return {
    // Time spent on reaching the start position does not count: a compressed file must be read from its beginning.
    isDue() {
      const nowMs = performance.now();
      dueMs ??= nowMs + PAGE_MS;
      return nowMs > dueMs;
    },
    patienceMs: PATIENCE_MS,
  };
}

/**
 * Lines of a text as a terminal shows it: without colours, split at carriage returns. Empty if that makes no
 * difference.
 */
function asShown(text: string): string[] {
  if (!text.includes('\r') && !text.includes('\u001b')) return [];
  return stripVTControlCharacters(text).split('\r');
}

/**
 * Makes the test for a filter. Running it takes as long as the pattern does. Throws `SyntaxError` for an invalid
 * pattern.
 */
export function makeRecordTest(filter: LogFilter): RecordTest {
  const wantsTime = makeTimeTest(filter);
  const wantsText = filter.grep && makeTextTest(filter.grep);
  return (bytes, from, to, time) => wantsTime(time) && (wantsText === null || wantsText(recordText(bytes, from, to)));
}

/** Makes the test of a pattern. It takes as long as the pattern does. Throws `SyntaxError` for an invalid pattern. */
function makeTextTest(pattern: LogPattern): (text: string) => boolean {
  const regExp = compilePattern(pattern);
  return (text) => regExp.test(text) || asShown(text).some((line) => regExp.test(line));
}

/** Tells that it has begun, and then whether the text matches. Throws `SyntaxError` for an invalid pattern. */
export function matchLine({ pattern, text, begun }: MatchLineJob): boolean {
  Atomics.store(begun, 0, 1);
  return makeTextTest(pattern)(text);
}

/**
 * Delivers the matching records between the start positions and the ends, ordered by time. The caller flushes the last
 * chunk.
 *
 * @param removed streams whose files have been removed: their positions would refer to new files
 * @throws ReaderGone
 */
async function deliver(
  { logDir, filter }: SearchLogsJob,
  places: readonly SearchPlace[],
  removed: ReadonlySet<string>,
  options: DeliveryOptions,
): Promise<SearchState> {
  const cursors = places.map(
    ({ id, at, isInRecord }) => new StreamCursor({ logDir, id, start: at, isInRecord, sinceMs: filter.sinceMs }),
  );
  const blocks = makeBlocks(places.length);
  const sources = places.map(({ id, end, time, isInRecord }, rank) => ({
    next: () => {
      if (removed.has(streamKey(id))) cursors[rank]!.abandon();
      return cursors[rank]!.take(end, blocks[rank]!);
    },
    time,
    isInRecord,
  }));
  try {
    const merge = await TimeMerge.open(sources);
    const delivery = new Delivery(places, options);
    for (let run = await merge.next(); run; run = await merge.next()) {
      if (!(await delivery.take(run))) return { phase: 'deliver', places: delivery.places };
    }
    return { phase: 'done', places: delivery.places.map((place) => ({ ...place, at: place.end, isInRecord: false })) };
  } finally {
    await Promise.all(cursors.map((cursor) => cursor.close()));
  }
}

interface DeliveryOptions extends PageLimits {
  readonly wants: RecordTest;
  readonly window: ChunkWindow;
}

type Progress = { -readonly [Key in keyof SearchPlace]: SearchPlace[Key] };

/** Record that arrives in pieces and has not been tested yet. */
interface OpenRecord {
  readonly fate: 'open';
  readonly start: Position;
  readonly time: string;
  /** Copies of the pieces that have arrived. */
  readonly pieces: Buffer[];
  bytes: number;
}

/** Record that arrives in pieces and is not complete yet. */
type LongRecord = OpenRecord | { readonly fate: 'sent' | 'dropped' };

class Delivery {
  /** Progress of each stream, up to its last run. */
  readonly places: Progress[];
  readonly #options: DeliveryOptions;
  #long: LongRecord | null;

  constructor(places: readonly SearchPlace[], options: DeliveryOptions) {
    this.places = places.map((place) => ({ ...place }));
    this.#options = options;
    this.#long = places.some(({ isInRecord }) => isInRecord) ? { fate: 'sent' } : null;
  }

  /** Handles the records of a run; false if the page ends within it. */
  async take({ rank, block, from, to }: Run): Promise<boolean> {
    const { bytes } = block;
    const place = this.places[rank]!;
    for (let at = from; at < to; ) {
      const newline = bytes.indexOf(LF, at);
      const end = newline === -1 ? to : newline + 1;
      if (this.#long || newline === -1) {
        if (!(await this.#takePiece(place, block, at, end))) return false;
      } else {
        const time = timeIn(block, at, place.time);
        const outcome = this.#offer(bytes, at, end, time);
        const isTaken = outcome === 'taken' || (outcome === 'no-room' && (await this.#send(bytes, at, end)));
        if (!isTaken) return stopAt(place, placeIn(block, at), false);
        place.time = time;
      }
      at = end;
    }
    place.at = placeIn(block, to);
    place.isInRecord = false;
    return true;
  }

  /** Handles a record as far as possible without waiting. */
  #offer(bytes: Buffer, from: number, to: number, time: string): 'taken' | 'no-room' | 'due' {
    const { wants, isDue, window } = this.#options;
    if (isDue()) return 'due';
    if (!wants(bytes, from, to - 1, time)) return 'taken';
    return window.put(bytes, from, to) ? 'taken' : 'no-room';
  }

  /** Handles a piece of a record; false if the page ends before it. */
  async #takePiece(place: Progress, block: Block, from: number, to: number): Promise<boolean> {
    const { bytes } = block;
    const start = placeIn(block, from);
    const isEnd = bytes[to - 1] === LF;
    this.#long ??= { fate: 'open', start, time: timeIn(block, from, place.time), pieces: [], bytes: 0 };
    const { fate } = this.#long;
    if (fate === 'open') return this.#takeOpenPiece(place, this.#long, Buffer.from(bytes.subarray(from, to)), isEnd);
    const mayGoOn = fate === 'dropped' || (!this.#options.isDue() && (await this.#send(bytes, from, to)));
    if (!mayGoOn) return stopAt(place, start, true);
    if (isEnd) this.#long = null;
    return true;
  }

  async #takeOpenPiece(place: Progress, long: OpenRecord, piece: Buffer, isEnd: boolean): Promise<boolean> {
    const { start, time, pieces } = long;
    pieces.push(piece);
    long.bytes += piece.length;
    if (!isEnd && long.bytes < MAX_SEEN_BYTES) return true;
    const record = Buffer.concat(pieces);
    const seenEnd = Math.min(record.length - (isEnd ? 1 : 0), MAX_SEEN_BYTES);
    const isWanted = this.#options.wants(record, 0, seenEnd, time);
    let sentBytes = 0;
    for (const { length } of isWanted ? pieces : []) {
      if (!(await this.#send(record, sentBytes, sentBytes + length))) {
        return stopAt(place, { ...start, offset: start.offset + sentBytes }, sentBytes > 0);
      }
      sentBytes += length;
      place.time = time;
    }
    place.time = time;
    this.#long = isEnd ? null : { fate: isWanted ? 'sent' : 'dropped' };
    return true;
  }

  /** Sends bytes to the reader; false if it is not reading. */
  async #send(bytes: Buffer, from: number, to: number): Promise<boolean> {
    const { window, patienceMs } = this.#options;
    return window.append(bytes, from, to, patienceMs);
  }
}

/** Time of the record that starts at `from`. @param before time of the previous record */
function timeIn({ bytes, start }: Block, from: number, before: string): string {
  return recordTime(bytes, from, from === 0 && start.offset === 0 ? EARLIEST : before);
}

function stopAt(place: Progress, at: Position, isInRecord: boolean): false {
  place.at = at;
  place.isInRecord = isInRecord;
  return false;
}
