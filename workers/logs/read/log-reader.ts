/**
 * Reader of log files: delivers the existing records and, when following, new ones.
 *
 * The path of a record from its file to the terminal: `log-files/log-file.ts` reads bytes, `stream-cursor.ts` finds
 * whole records, `time-merge.ts` merges the streams, and this reader sends them through `chunk-window.ts` to the API
 * worker, which answers `GET /logs`; the CLI (`commands/logs.ts`) prints them with `render/log-records.ts`. With a
 * filter, `log-search.ts` runs jobs for the first part (`workers/jobs/logs/search.ts`).
 */
import type { MessagePort } from 'node:worker_threads';
import { toWireError } from '../../../src/lib/errors.ts';
import { within } from '../../../src/lib/promises.ts';
import {
  isBefore,
  ORIGIN,
  type Position,
  STREAM_NAMES,
  type StreamId,
  streamKey,
} from '../../../src/protocol/log-files/names.ts';
import {
  EVERY_RECORD,
  type LogQuery,
  type LogReadEvent,
  READ_WINDOW,
  type StreamEnd,
} from '../../../src/protocol/log-files/queries.ts';
import { EARLIEST, LF } from '../../../src/protocol/log-files/record.ts';
import { findEnd } from '../../log-files/backward-scan.ts';
import { ChunkWindow, ReaderGone } from '../../log-files/chunk-window.ts';
import { listStreamFiles } from '../../log-files/log-file.ts';
import { BLOCK_BYTES, makeBlocks, StreamCursor } from '../../log-files/stream-cursor.ts';
import { searchTail, startTail } from '../../log-files/tail-search.ts';
import { TimeMerge } from '../../log-files/time-merge.ts';
import { TimeFilter } from '../../log-files/time-range.ts';
import { LogSearch, type SearchOptions } from './log-search.ts';

interface LogReaderOptions extends SearchOptions {
  readonly query: LogQuery;
  readonly port: MessagePort;
  /** End of the last complete record of a stream that is being written; null for any other stream. */
  readonly settledEnd: (id: StreamId) => Position | null;
}

/** Stream whose new records are read in this thread. */
interface Followed {
  readonly cursor: StreamCursor;
  /** Null if all records are wanted. */
  readonly filter: TimeFilter | null;
}

/** Delay before new records are searched, so that more can arrive: each page costs a job of the pool. */
const SEARCH_DELAY_MS = 100;
/** Maximum delay of a timer. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/**
 * Serves one query. The writer, in the same thread, notifies a follower of how far a stream has been written; the
 * follower reads up to that position from the files. So a slow follower costs no memory and delays nobody. Jobs search
 * old records if there is a filter, and all records if there is a pattern: a pattern that never finishes must not stop
 * the capture.
 */
export class LogReader {
  /** Resolves when the reader has ended and its files are closed; never rejects. */
  readonly done: Promise<void>;
  readonly #options: LogReaderOptions;
  readonly #window: ChunkWindow;
  readonly #search: LogSearch;
  readonly #followed = new Map<string, Followed>();
  /** Streams that may have undelivered records, and how far they have been written. */
  readonly #tracks = new Map<string, StreamEnd>();
  /** Services that were removed and have printed nothing since. */
  readonly #removed = new Set<string>();
  #isFinishing = false;
  #wake: () => void = () => {};
  #cancelEnd: () => void = () => {};

  constructor(options: LogReaderOptions) {
    const { query, port } = options;
    this.#options = options;
    this.#window = new ChunkWindow(port, READ_WINDOW, () => {
      this.#search.stop();
      this.finish();
    });
    this.#search = new LogSearch(options, query.filter ?? EVERY_RECORD, this.#window, query.starts);
    this.done = this.#run();
  }

  /** Notifies the reader that the stream has been written up to `end`, the end of a record. */
  notify(id: StreamId, end: Position): void {
    const { query } = this.#options;
    if (!query.follow || !selectsStream(query, id)) return;
    this.#tracks.set(streamKey(id), { id, end });
    this.#removed.delete(id.service);
    this.#wake();
  }

  /**
   * Notifies the reader that the files of the service were removed; new ones start at the first number. A query that
   * names services ends with the last of them.
   */
  forget(service: string): void {
    for (const stream of STREAM_NAMES) this.#forgetStream({ service, stream });
    const { services } = this.#options.query;
    this.#removed.add(service);
    if (services.length > 0 && services.every((name) => this.#removed.has(name))) this.finish();
  }

  #forgetStream(id: StreamId): void {
    const key = streamKey(id);
    this.#tracks.delete(key);
    this.#followed.get(key)?.cursor.abandon();
    this.#followed.delete(key);
    this.#search.forget(id);
  }

  /** Stops following: the reader delivers what it has been notified of, and ends. */
  finish(): void {
    this.#isFinishing = true;
    this.#wake();
  }

  /** Ends at once. */
  end(): void {
    this.#post({ type: 'end' });
  }

  async #run(): Promise<void> {
    const { follow, filter } = this.#options.query;
    try {
      if (follow && filter) this.#finishAfter(filter.untilMs);
      if (filter) await this.#searchPast();
      else await this.#deliverPast();
      if (follow) await (filter?.grep ? this.#searchNew() : this.#deliverNew());
      this.#window.flush();
      this.#post({ type: 'end' });
    } catch (error) {
      if (!(error instanceof ReaderGone)) this.#post({ type: 'error', error: toWireError(error) });
    } finally {
      this.#cancelEnd();
      await Promise.all([...this.#followed.values()].map(({ cursor }) => cursor.close()));
    }
  }

  #post(event: Extract<LogReadEvent, { type: 'end' | 'error' }>): void {
    const { port } = this.#options;
    port.postMessage(event);
    port.close();
  }

  /** Stops following once the last wanted time has passed. */
  #finishAfter(untilMs: number | null): void {
    if (untilMs === null) return;
    const { clock } = this.#options;
    const delayMs = untilMs + 1 - clock.now();
    if (delayMs <= 0) this.finish();
    else this.#cancelEnd = clock.after(Math.min(delayMs, MAX_DELAY_MS), () => this.#finishAfter(untilMs));
  }

  async #deliverPast(): Promise<void> {
    const { logDir, query } = this.#options;
    const streams = await this.#findEnds();
    const ranges =
      query.tail === null
        ? streams.map((stream) => ({ ...stream, start: ORIGIN }))
        : (await searchTail(startTail(query.tail, streams), { logDir })).state.streams;
    const startOf = ({ id, start }: (typeof ranges)[number]) => later(start, query.starts?.[id.stream] ?? ORIGIN);
    const blocks = makeBlocks(ranges.length);
    const sources = ranges.map((range, rank) => {
      const { id, end } = range;
      const { cursor } = this.#follow(id, startOf(range));
      return { next: () => cursor.take(end, blocks[rank]!) };
    });
    const merge = await TimeMerge.open(sources);
    for (let run = await merge.next(); run; run = await merge.next()) {
      await this.#window.append(run.block.bytes, run.from, run.to);
    }
    this.#window.flush();
  }

  /**
   * Finds the ends of the streams that the query selects, ignoring tail and filter. They are ordered by service and,
   * for each, stdout, stderr, console.
   */
  async #findEnds(): Promise<StreamEnd[]> {
    const { logDir, query, settledEnd } = this.#options;
    const streams = await listStreamFiles(logDir, (id) => selectsStream(query, id));
    streams.sort((a, b) => compareStreams(a.id, b.id));
    const ends: StreamEnd[] = [];
    for (const files of streams) {
      const { id } = files;
      const end = settledEnd(id) ?? (await findEnd(logDir, files, { skipsTorn: query.follow }));
      // If it has been opened meanwhile, only its writer knows where a record ends.
      ends.push({ id, end: later(settledEnd(id) ?? end, query.starts?.[id.stream] ?? ORIGIN) });
    }
    return ends;
  }

  async #searchPast(): Promise<void> {
    const { query } = this.#options;
    await this.#search.deliver(await this.#findEnds(), query.tail);
    if (query.filter?.grep) return;
    for (const { id, end, time } of this.#search.places()) this.#follow(id, end, time);
  }

  #follow(id: StreamId, start: Position, time: string = EARLIEST): Followed {
    const { logDir, query } = this.#options;
    const filter = query.filter ? new TimeFilter(query.filter, time) : null;
    const followed = { cursor: new StreamCursor({ logDir, id, start }), filter };
    this.#followed.set(streamKey(id), followed);
    return followed;
  }

  async #searchNew(): Promise<void> {
    while (await this.#hasNew()) {
      const tracks = [...this.#tracks.values()];
      this.#tracks.clear();
      await this.#search.deliver(tracks, null);
      await this.#pause();
    }
  }

  async #deliverNew(): Promise<void> {
    const memory = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    while (await this.#hasNew()) {
      while (this.#tracks.size > 0) {
        for (const [key, track] of this.#tracks) await this.#deliverBlock(key, track, memory);
      }
      this.#window.flush();
    }
  }

  /** Delivers one block of a stream, so that streams take turns, or one long record as a whole. */
  async #deliverBlock(key: string, track: StreamEnd, memory: Buffer): Promise<void> {
    const { cursor, filter } = this.#followed.get(key) ?? this.#follow(track.id, ORIGIN);
    for (;;) {
      const block = await cursor.take(track.end, memory);
      if (!block) {
        // If more was written meanwhile, a newer entry has replaced this one.
        if (this.#tracks.get(key) === track) this.#tracks.delete(key);
        return;
      }
      const { bytes } = block;
      for (const [from, to] of filter?.select(block) ?? [[0, bytes.length] as const]) {
        await this.#window.append(bytes, from, to);
      }
      if (bytes.at(-1) === LF) return;
    }
  }

  /** Waits for new records; false if there will be none. */
  async #hasNew(): Promise<boolean> {
    while (this.#tracks.size === 0) {
      if (this.#isFinishing) return false;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return true;
  }

  async #pause(): Promise<void> {
    if (this.#isFinishing) return;
    const finishing = new Promise<void>((resolve) => {
      this.#wake = () => {
        if (this.#isFinishing) resolve();
      };
    });
    await within(finishing, SEARCH_DELAY_MS, { clock: this.#options.clock });
  }
}

/** True if `query` selects the stream. */
function selectsStream(query: LogQuery, { service, stream }: StreamId): boolean {
  return query.streams.includes(stream) && (query.services.length === 0 || query.services.includes(service));
}

function later(a: Position, b: Position): Position {
  return isBefore(a, b) ? b : a;
}

function compareStreams(a: StreamId, b: StreamId): number {
  if (a.service !== b.service) return a.service < b.service ? -1 : 1;
  return STREAM_NAMES.indexOf(a.stream) - STREAM_NAMES.indexOf(b.stream);
}
