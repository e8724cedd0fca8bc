/** A reader of log files: what is there, then, for a follower, what comes. */
import type { MessagePort } from 'node:worker_threads';
import type { Clock } from '../../../src/lib/clock.ts';
import { toWireError } from '../../../src/lib/wire-error.ts';
import { ORIGIN, type Position, type StreamId, streamKey } from '../../../src/protocol/log-files/names.ts';
import {
  EVERY_RECORD,
  type LogQuery,
  type LogReadEvent,
  READ_WINDOW,
} from '../../../src/protocol/log-files/queries.ts';
import { EARLIEST, LF } from '../../../src/protocol/log-files/record.ts';
import { ChunkWindow, ReaderGone } from '../../log-files/chunk-window.ts';
import { BLOCK_BYTES, makeBlocks, StreamCursor } from '../../log-files/stream-cursor.ts';
import { TimeMerge } from '../../log-files/time-merge.ts';
import { TimeRange } from '../../log-files/time-range.ts';
import { TimeSieve } from '../format/time-filter.ts';
import { LogSearch, type StartPage } from './log-search.ts';
import { findAll, findRanges, type SettledEnd, selectsStream } from './read-range.ts';

/** What to read, and for whom. */
export interface LogReaderOptions {
  readonly logDir: string;
  readonly query: LogQuery;
  readonly port: MessagePort;
  readonly settledEnd: SettledEnd;
  readonly startPage: StartPage;
  /** How long a page may be silent before it is called off. */
  readonly pageSilenceMs: number;
  readonly clock: Clock;
}

/** How far a stream is written that the reader follows. */
interface Track {
  readonly id: StreamId;
  readonly end: Position;
}

/** A stream whose news are read here. */
interface Followed {
  readonly cursor: StreamCursor;
  /** Null where all of it is wanted. */
  readonly sieve: TimeSieve | null;
}

/** News for a pattern wait this long for more: each page costs the pool a job. */
const NEWS_DELAY_MS = 100;
/** The longest that a timer can be set to. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/**
 * Serves one query. A follower is told by the writer, in the same thread, how far a stream is written, and reads up to
 * there from the files: it holds nothing back in memory, and however slow it is, it keeps nobody waiting. Old records
 * with a filter, and all with a pattern, are searched for by jobs: a pattern that takes for ever must not stop the
 * capture.
 */
export class LogReader {
  /** Settles when the reader has ended and its files are closed; never rejects. */
  readonly done: Promise<void>;
  readonly #options: LogReaderOptions;
  readonly #window: ChunkWindow;
  readonly #search: LogSearch;
  readonly #followed = new Map<string, Followed>();
  /** Streams that may have more than was delivered. */
  readonly #tracks = new Map<string, Track>();
  #isFinishing = false;
  #wake: () => void = () => {};
  #cancelEnd: () => void = () => {};

  constructor(options: LogReaderOptions) {
    const { logDir, query, port, startPage, pageSilenceMs, clock } = options;
    this.#options = options;
    this.#window = new ChunkWindow(port, READ_WINDOW, () => {
      this.#search.stop(new ReaderGone());
      this.finish();
    });
    const { filter = EVERY_RECORD } = query;
    this.#search = new LogSearch({ logDir, filter, window: this.#window, startPage, pageSilenceMs, clock });
    this.done = this.#run();
  }

  /** The stream is written up to `end`, where a record ends. */
  notify(id: StreamId, end: Position): void {
    const { query } = this.#options;
    if (!query.follow || !selectsStream(query, id)) return;
    this.#tracks.set(streamKey(id), { id, end });
    this.#wake();
  }

  /** The files of the stream were removed: what comes next starts from the first number. */
  forget(id: StreamId): void {
    const key = streamKey(id);
    this.#tracks.delete(key);
    this.#followed.get(key)?.cursor.abandon();
    this.#followed.delete(key);
    this.#search.forget(id);
  }

  /** Follows no longer: the reader delivers what it was told of and ends. */
  finish(): void {
    this.#isFinishing = true;
    this.#wake();
  }

  /** Ends at once. */
  end(): void {
    this.#say({ type: 'end' });
  }

  async #run(): Promise<void> {
    const { follow, filter } = this.#options.query;
    try {
      if (follow && filter) this.#finishAfter(filter.untilMs);
      if (filter) await this.#searchPast();
      else await this.#deliverPast();
      if (follow) await (filter?.grep ? this.#searchNews() : this.#deliverNews());
      this.#window.flush();
      this.#say({ type: 'end' });
    } catch (error) {
      if (!(error instanceof ReaderGone)) this.#say({ type: 'error', error: toWireError(error) });
    } finally {
      this.#cancelEnd();
      await Promise.all([...this.#followed.values()].map(({ cursor }) => cursor.close()));
    }
  }

  #say(event: Extract<LogReadEvent, { type: 'end' | 'error' }>): void {
    if (this.#window.isGone) return;
    const { port } = this.#options;
    port.postMessage(event);
    port.close();
  }

  /** Ends the following when the clock has passed the last time that is asked for. */
  #finishAfter(untilMs: number | null): void {
    if (untilMs === null) return;
    const { clock } = this.#options;
    const delayMs = untilMs + 1 - clock.now();
    if (delayMs <= 0) this.finish();
    else this.#cancelEnd = clock.after(Math.min(delayMs, MAX_DELAY_MS), () => this.#finishAfter(untilMs));
  }

  async #deliverPast(): Promise<void> {
    const { logDir, query, settledEnd } = this.#options;
    const ranges = await findRanges(logDir, query, settledEnd);
    const blocks = makeBlocks(ranges.length);
    const sources = ranges.map(({ id, start, end }, rank) => {
      const { cursor } = this.#follow(id, start);
      return { next: () => cursor.take(end, blocks[rank]!) };
    });
    const merge = await TimeMerge.open(sources);
    for (let run = await merge.next(); run; run = await merge.next()) {
      await this.#window.append(run.block.bytes, run.from, run.to);
    }
    this.#window.flush();
  }

  async #searchPast(): Promise<void> {
    const { logDir, query, settledEnd } = this.#options;
    await this.#search.deliverPast(await findAll(logDir, query, settledEnd), query.tail);
    if (query.filter?.grep) return;
    for (const { id, end, time } of this.#search.places()) this.#follow(id, end, time);
  }

  #follow(id: StreamId, start: Position, time: string = EARLIEST): Followed {
    const { logDir, query } = this.#options;
    const sieve = query.filter ? new TimeSieve(new TimeRange(query.filter), time) : null;
    const followed = { cursor: new StreamCursor({ logDir, id, start }), sieve };
    this.#followed.set(streamKey(id), followed);
    return followed;
  }

  async #searchNews(): Promise<void> {
    while (await this.#hasNews()) {
      const tracks = [...this.#tracks.values()];
      this.#tracks.clear();
      await this.#search.deliverNews(tracks);
      await this.#pause();
    }
  }

  async #deliverNews(): Promise<void> {
    const memory = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    while (await this.#hasNews()) {
      while (this.#tracks.size > 0) {
        for (const [key, track] of this.#tracks) await this.#deliverBlock(key, track, memory);
      }
      this.#window.flush();
    }
  }

  /** One block of a stream, so that no stream keeps the others waiting; but a long record in one go. */
  async #deliverBlock(key: string, track: Track, memory: Buffer): Promise<void> {
    const { cursor, sieve } = this.#followed.get(key) ?? this.#follow(track.id, ORIGIN);
    for (;;) {
      const block = await cursor.take(track.end, memory);
      if (!block) {
        // A newer track has taken its place when more was written meanwhile.
        if (this.#tracks.get(key) === track) this.#tracks.delete(key);
        return;
      }
      const { bytes } = block;
      for (const [from, to] of sieve?.sift(block) ?? [[0, bytes.length] as const]) {
        await this.#window.append(bytes, from, to);
      }
      if (bytes.at(-1) === LF) return;
    }
  }

  /** Waits for news; false when there are none and none will be delivered. */
  async #hasNews(): Promise<boolean> {
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
    let cancel = () => {};
    await new Promise<void>((resolve) => {
      cancel = this.#options.clock.after(NEWS_DELAY_MS, resolve);
      this.#wake = () => {
        if (this.#isFinishing) resolve();
      };
    });
    cancel();
  }
}
