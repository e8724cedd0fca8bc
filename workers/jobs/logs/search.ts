/**
 * Page of a search of log files. It goes backward for the last records that match, if the query has a tail, and then
 * forward to deliver them, until all is delivered or its time is over.
 */
import { toWireError } from '../../../src/lib/errors.ts';
import type { SearchLogsJob } from '../../../src/protocol/jobs.ts';
import { recordText, recordTime } from '../../../src/protocol/log-files/formats.ts';
import { type Position, streamKey } from '../../../src/protocol/log-files/names.ts';
import {
  compilePattern,
  type LogFilter,
  type SearchOrder,
  type SearchPlace,
  type SearchReply,
  type SearchState,
  type TailState,
} from '../../../src/protocol/log-files/queries.ts';
import { EARLIEST, LF } from '../../../src/protocol/log-files/record.ts';
import { MAX_SEEN_BYTES, type RecordTest } from '../../log-files/backward-scan.ts';
import { ChunkWindow, ReaderGone } from '../../log-files/chunk-window.ts';
import { makeBlocks, StreamCursor } from '../../log-files/stream-cursor.ts';
import { searchTail } from '../../log-files/tail-search.ts';
import { placeIn, type Run, TimeMerge } from '../../log-files/time-merge.ts';
import { makeTimeTest } from '../../log-files/time-range.ts';

/** Duration of a page, from its first record. */
const PAGE_MS = 1000;
/** Time it waits for a reader that takes nothing: somebody may be reading in a pager. */
const PATIENCE_MS = 200;
/** Interval of its signs of life, while nothing blocks its event loop. */
const ALIVE_INTERVAL_MS = 1000;

/** Limits of a page; tests make them smaller. */
export interface PageLimits {
  readonly isDue: () => boolean;
  readonly patienceMs: number;
}

/** Runs one page of a search. Reports its result over the port; throws nothing. */
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
  { isDue, patienceMs }: PageLimits,
): Promise<SearchState> {
  const { logDir, filter, state } = job;
  const { sinceMs } = filter;
  const wants = makeRecordTest(filter);
  let places: readonly SearchPlace[];
  if (state.phase === 'tail') {
    const { state: tail, isDone } = await searchTail(state.tail, { logDir, wants, sinceMs, isDue });
    if (!isDone) return { phase: 'tail', tail };
    places = placesOf(tail).filter(({ id }) => !removed.has(streamKey(id)));
  } else {
    places = state.places;
  }
  const rest = await deliverFound(places, { logDir, wants, sinceMs, window, removed, patienceMs, isDue });
  if (rest) return { phase: 'deliver', places: rest };
  return { phase: 'done', places: places.map((place) => ({ ...place, at: place.end, isInRecord: false })) };
}

function placesOf({ streams }: TailState): SearchPlace[] {
  return streams.map(({ id, start, startTime, end }) => ({ id, at: start, end, time: startTime, isInRecord: false }));
}

function makeLimits(): PageLimits {
  let dueMs: number | null = null;
  return {
    // The way to where the page before stopped does not count: a compressed file is read from its beginning.
    isDue() {
      const nowMs = performance.now();
      dueMs ??= nowMs + PAGE_MS;
      return nowMs > dueMs;
    },
    patienceMs: PATIENCE_MS,
  };
}

/** Makes the test of a filter. It takes as long as the pattern does. Throws `SyntaxError` for an invalid pattern. */
export function makeRecordTest(filter: LogFilter): RecordTest {
  const wantsTime = makeTimeTest(filter);
  const pattern = filter.grep && compilePattern(filter.grep);
  return (bytes, from, to, time) => wantsTime(time) && (pattern === null || pattern.test(recordText(bytes, from, to)));
}

interface DeliveryOptions {
  readonly logDir: string;
  readonly wants: RecordTest;
  /** Skip files last written before, milliseconds since the epoch. */
  readonly sinceMs: number | null;
  readonly window: ChunkWindow;
  /** Streams whose files were removed since: positions in them would be positions in new files. */
  readonly removed: ReadonlySet<string>;
  /** Time to wait for a reader that takes nothing. */
  readonly patienceMs: number;
  /** Ends the page at the next record when it returns true. */
  readonly isDue: () => boolean;
}

/** Record that comes in pieces and is not tested yet. */
interface OpenRecord {
  readonly fate: 'open';
  readonly start: Position;
  /** Time of the previous record. */
  readonly before: string;
  /** Copies of the pieces so far. */
  readonly pieces: Buffer[];
  bytes: number;
}

/** Record that comes in pieces and whose end has not come. */
type LongRecord = OpenRecord | { readonly fate: 'sent' | 'dropped' };

/** Position of a stream at which the page ended within a run. */
interface Stop {
  readonly rank: number;
  readonly at: Position;
  readonly time: string;
  readonly isInRecord: boolean;
}

/**
 * Delivers the matching records between the places and their ends, in the order of their times. The caller flushes the
 * last chunk.
 *
 * @returns where to go on; null if all is delivered
 * @throws ReaderGone
 */
async function deliverFound(places: readonly SearchPlace[], options: DeliveryOptions): Promise<SearchPlace[] | null> {
  const { logDir, sinceMs, removed } = options;
  const cursors = places.map(
    ({ id, at, isInRecord }) => new StreamCursor({ logDir, id, start: at, isInRecord, sinceMs }),
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
      const stop = await delivery.take(run);
      if (!stop) continue;
      const reached = merge.places();
      return places.map((place, rank) => {
        if (rank === stop.rank) return { ...place, at: stop.at, time: stop.time, isInRecord: stop.isInRecord };
        const { at, isInRecord } = reached[rank] ?? { at: place.end, isInRecord: false };
        return { ...place, at, time: delivery.times[rank]!, isInRecord };
      });
    }
    return null;
  } finally {
    await Promise.all(cursors.map((cursor) => cursor.close()));
  }
}

class Delivery {
  /** Time of the last handled record of each stream. */
  readonly times: string[];
  readonly #options: DeliveryOptions;
  #long: LongRecord | null;

  constructor(places: readonly SearchPlace[], options: DeliveryOptions) {
    this.times = places.map(({ time }) => time);
    this.#options = options;
    this.#long = places.some(({ isInRecord }) => isInRecord) ? { fate: 'sent' } : null;
  }

  /** Handles the records of a run; returns where it stopped, or null if it did not. */
  async take(run: Run): Promise<Stop | null> {
    const { rank, block } = run;
    const { bytes } = block;
    for (let at = run.from; at < run.to; ) {
      const newline = bytes.indexOf(LF, at);
      const end = newline === -1 ? run.to : newline + 1;
      if (this.#long || newline === -1) {
        const stop = await this.#takePiece(run, at, end, newline !== -1);
        if (stop) return stop;
      } else {
        const time = this.#timeOf(run, at);
        const outcome = this.#offer(bytes, at, end, time);
        const isTaken = outcome === 'taken' || (outcome === 'no-room' && (await this.#send(bytes, at, end)));
        if (!isTaken) return { rank, at: placeIn(block, at), time: this.times[rank]!, isInRecord: false };
        this.times[rank] = time;
      }
      at = end;
    }
    return null;
  }

  /** Handles a record as far as possible without waiting. */
  #offer(bytes: Buffer, from: number, to: number, time: string): 'taken' | 'no-room' | 'due' {
    const { wants, isDue, window } = this.#options;
    if (isDue()) return 'due';
    if (!wants(bytes, from, to - 1, time)) return 'taken';
    return window.put(bytes, from, to) ? 'taken' : 'no-room';
  }

  async #takePiece(run: Run, from: number, to: number, isEnd: boolean): Promise<Stop | null> {
    const { rank, block } = run;
    const { bytes } = block;
    if (!this.#long) {
      const before = this.times[rank]!;
      this.times[rank] = this.#timeOf(run, from);
      this.#long = { fate: 'open', start: placeIn(block, from), before, pieces: [], bytes: 0 };
    }
    const long = this.#long;
    if (long.fate === 'open') return this.#takeOpenPiece(long, rank, Buffer.from(bytes.subarray(from, to)), isEnd);
    const mayGoOn = long.fate === 'dropped' || (!this.#options.isDue() && (await this.#send(bytes, from, to)));
    if (!mayGoOn) return { rank, at: placeIn(block, from), time: this.times[rank]!, isInRecord: true };
    if (isEnd) this.#long = null;
    return null;
  }

  async #takeOpenPiece(long: OpenRecord, rank: number, piece: Buffer, isEnd: boolean): Promise<Stop | null> {
    const { start, before, pieces } = long;
    pieces.push(piece);
    long.bytes += piece.length;
    if (!isEnd && long.bytes < MAX_SEEN_BYTES) return null;
    const time = this.times[rank]!;
    const record = Buffer.concat(pieces);
    const seenEnd = Math.min(record.length - (isEnd ? 1 : 0), MAX_SEEN_BYTES);
    const isWanted = this.#options.wants(record, 0, seenEnd, time);
    const sentBytes = isWanted ? await this.#sendPieces(pieces) : 0;
    if (isWanted && sentBytes < long.bytes) {
      const isInRecord = sentBytes > 0;
      const at = { number: start.number, offset: start.offset + sentBytes };
      return { rank, at, time: isInRecord ? time : before, isInRecord };
    }
    this.#long = isEnd ? null : { fate: isWanted ? 'sent' : 'dropped' };
    return null;
  }

  /** Time of the record that starts at `from`. */
  #timeOf({ rank, block }: Run, from: number): string {
    const isFirst = from === 0 && block.start.offset === 0;
    return recordTime(block.bytes, from, isFirst ? EARLIEST : this.times[rank]!);
  }

  /** Returns how many bytes were sent. */
  async #sendPieces(pieces: readonly Buffer[]): Promise<number> {
    let sentBytes = 0;
    for (const piece of pieces) {
      if (!(await this.#send(piece, 0, piece.length))) break;
      sentBytes += piece.length;
    }
    return sentBytes;
  }

  /** Returns false if the reader takes nothing. */
  async #send(bytes: Buffer, from: number, to: number): Promise<boolean> {
    const { window, patienceMs } = this.#options;
    return window.append(bytes, from, to, patienceMs);
  }
}
