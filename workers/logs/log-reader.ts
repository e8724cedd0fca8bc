/** A reader of log files: what is there, then, for a follower, what comes. */
import type { MessagePort } from 'node:worker_threads';
import { errorText } from '../../src/errors.ts';
import type { LogQuery } from '../../src/protocol/logs.ts';
import { ChunkSender, ReaderGone } from './chunk-sender.ts';
import { ORIGIN, type Position, type StreamId, streamKey } from './file-names.ts';
import { LF } from './framer.ts';
import { mergeByTime } from './merge.ts';
import { findRanges, selectsStream } from './read-range.ts';
import { StreamCursor } from './stream-cursor.ts';

/** What to read, and for whom. */
export interface LogReaderOptions {
  readonly logDir: string;
  readonly query: LogQuery;
  readonly port: MessagePort;
  /** End of the last whole record of a stream that is being written; null for any other stream. */
  readonly settledEnd: (id: StreamId) => Position | null;
}

/** How far a stream is written that the reader follows. */
interface Track {
  readonly id: StreamId;
  readonly end: Position;
}

/**
 * Serves one query. A follower is told by the writer, in the same thread, how far a stream is written, and reads up to
 * there from the files: it holds nothing back in memory, and however slow it is, it keeps nobody waiting.
 */
export class LogReader {
  /** Settles when the reader has ended and its files are closed; never rejects. */
  readonly done: Promise<void>;
  readonly #options: LogReaderOptions;
  readonly #sender: ChunkSender;
  readonly #cursors = new Map<string, StreamCursor>();
  /** Streams that may have more than was delivered. */
  readonly #tracks = new Map<string, Track>();
  #isFinishing = false;
  #wake: (() => void) | null = null;

  constructor(options: LogReaderOptions) {
    this.#options = options;
    this.#sender = new ChunkSender(options.port, () => this.finish());
    this.done = this.#run();
  }

  /** The stream is written up to `end`, where a record ends. */
  notify(id: StreamId, end: Position): void {
    const { query } = this.#options;
    if (!query.follow || !selectsStream(query, id)) return;
    this.#tracks.set(streamKey(id), { id, end });
    this.#wake?.();
  }

  /** The files of the stream were removed: what comes next starts from the first number. */
  forget(id: StreamId): void {
    const key = streamKey(id);
    this.#tracks.delete(key);
    this.#cursors.get(key)?.abandon();
    this.#cursors.delete(key);
  }

  /** Follows no longer: the reader delivers what it was told of and ends. */
  finish(): void {
    this.#isFinishing = true;
    this.#wake?.();
  }

  /** Ends at once. */
  end(): void {
    this.#sender.end({ type: 'end' });
  }

  async #run(): Promise<void> {
    try {
      await this.#deliverPast();
      if (this.#options.query.follow) await this.#deliverNews();
      this.#sender.end({ type: 'end' });
    } catch (error) {
      if (!(error instanceof ReaderGone)) this.#sender.end({ type: 'error', message: errorText(error) });
    } finally {
      await Promise.all([...this.#cursors.values()].map((cursor) => cursor.close()));
    }
  }

  async #deliverPast(): Promise<void> {
    const { logDir, query, settledEnd } = this.#options;
    const ranges = await findRanges(logDir, query, settledEnd);
    const sources = ranges.map(({ id, start, end }) => {
      const cursor = new StreamCursor(logDir, id, start);
      this.#cursors.set(streamKey(id), cursor);
      return () => cursor.take(end);
    });
    await mergeByTime(sources, (bytes, from, to) => this.#sender.append(bytes, from, to));
    await this.#sender.flush();
  }

  async #deliverNews(): Promise<void> {
    for (;;) {
      while (this.#tracks.size > 0) for (const [key, track] of this.#tracks) await this.#deliverBlock(key, track);
      await this.#sender.flush();
      if (this.#tracks.size > 0) continue;
      if (this.#isFinishing) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** One block of a stream, so that no stream keeps the others waiting; but a long record in one go. */
  async #deliverBlock(key: string, track: Track): Promise<void> {
    let cursor = this.#cursors.get(key);
    if (!cursor) {
      cursor = new StreamCursor(this.#options.logDir, track.id, ORIGIN);
      this.#cursors.set(key, cursor);
    }
    let block: Buffer | null;
    do {
      block = await cursor.take(track.end);
      if (block) await this.#sender.append(block);
      // A newer track has taken its place when more was written meanwhile.
      else if (this.#tracks.get(key) === track) this.#tracks.delete(key);
    } while (block && block.at(-1) !== LF);
  }
}
