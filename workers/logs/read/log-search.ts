/** A reader's search: asks for one page after the other and passes on what they find. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Clock } from '../../../src/lib/clock.ts';
import { MonocoreError } from '../../../src/lib/errors.ts';
import { fromWireError } from '../../../src/lib/wire-error.ts';
import { ORIGIN, type Position, type StreamId, streamKey } from '../../../src/protocol/log-files/names.ts';
import type {
  LogFilter,
  SearchPage,
  SearchPlace,
  SearchReply,
  SearchState,
} from '../../../src/protocol/log-files/queries.ts';
import { EARLIEST } from '../../../src/protocol/log-files/record.ts';
import type { ChunkWindow } from '../../log-files/chunk-window.ts';

/** Has a job do a page, which answers on `port` with `SearchReply`s; what is returned calls it off, if it still runs. */
export type StartPage = (page: SearchPage, port: MessagePort) => () => void;

/** What to search, and for whom. */
export interface LogSearchOptions {
  readonly logDir: string;
  readonly filter: LogFilter;
  readonly window: ChunkWindow;
  readonly startPage: StartPage;
  readonly pageSilenceMs: number;
  readonly clock: Clock;
}

/** A stream, and where to stop in it. */
interface StreamEnd {
  readonly id: StreamId;
  readonly end: Position;
}

/** Where each stream is that was searched. Log worker. */
export class LogSearch {
  readonly #options: LogSearchOptions;
  readonly #places = new Map<string, SearchPlace>();
  /** Streams whose files were removed while a page was at work. */
  readonly #forgotten = new Set<string>();
  #stopPage: (error: Error) => void = () => {};
  #stopped: Error | null = null;

  constructor(options: LogSearchOptions) {
    this.#options = options;
  }

  /** How far the streams have been delivered. */
  places(): SearchPlace[] {
    return [...this.#places.values()];
  }

  /**
   * Delivers what matches from the first file on, the last `tail` of it over all streams; in the order of times.
   *
   * @throws ReaderGone; MonocoreError `Aborted` when a page was silent for too long, `ThreadDied` when it was cut off
   */
  async deliverPast(streams: readonly StreamEnd[], tail: number | null): Promise<void> {
    if (tail === null) {
      await this.#deliver({ phase: 'deliver', places: streams.map(({ id, end }) => newPlace(id, end)) });
      return;
    }
    const places = streams.map(({ id, end }) => ({ id, end, start: end, startTime: EARLIEST, at: end, next: null }));
    await this.#deliver({ phase: 'tail', tail: { missing: tail, streams: places } });
  }

  /** Delivers what matches from where the streams are up to the new ends. Throws as {@link deliverPast}. */
  async deliverNews(streams: readonly StreamEnd[]): Promise<void> {
    const places = streams.map(({ id, end }) => ({ ...(this.#places.get(streamKey(id)) ?? newPlace(id, end)), end }));
    await this.#deliver({ phase: 'deliver', places });
  }

  /** The files of the stream were removed: the next ones start from the first number. */
  forget(id: StreamId): void {
    this.#places.delete(streamKey(id));
    this.#forgotten.add(streamKey(id));
  }

  /** Ends the page that is at work, and lets none begin; the delivery throws `error`. */
  stop(error: Error): void {
    this.#stopped ??= error;
    this.#stopPage(error);
  }

  async #deliver(start: SearchState): Promise<void> {
    this.#forgotten.clear();
    let state = start;
    while (state.phase !== 'done') state = await this.#runPage(state);
    for (const place of state.places) {
      const key = streamKey(place.id);
      if (!this.#forgotten.has(key)) this.#places.set(key, place);
    }
  }

  async #runPage(state: SearchState): Promise<SearchState> {
    const { logDir, filter, window, startPage } = this.#options;
    // While the reader takes nothing, no job is worth its thread.
    await window.hasRoom();
    if (this.#stopped) throw this.#stopped;
    const { port1: port, port2: jobPort } = new MessageChannel();
    const callOff = startPage({ logDir, filter, state }, jobPort);
    let unused: readonly ArrayBuffer[] = [];
    try {
      const end = await this.#relay(port);
      unused = end.unused;
      return end.state;
    } catch (error) {
      callOff();
      throw error;
    } finally {
      window.endLoan(unused);
      port.close();
    }
  }

  /** Lends the job the reader's buffers and passes on what it fills them with, up to its last word. */
  #relay(port: MessagePort): Promise<Extract<SearchReply, { type: 'page' }>> {
    const { filter, window, pageSilenceMs, clock } = this.#options;
    let cancelTimer = () => {};
    const ended = new Promise<Extract<SearchReply, { type: 'page' }>>((resolve, reject) => {
      this.#stopPage = reject;
      port.on('message', (reply: SearchReply) => {
        cancelTimer();
        cancelTimer = clock.after(pageSilenceMs, () => reject(silenceError(filter, pageSilenceMs)));
        switch (reply.type) {
          case 'alive':
            return;
          case 'chunk':
            window.relay(reply.bytes);
            return;
          case 'page':
            resolve(reply);
            return;
          case 'error':
            reject(fromWireError(reply.error));
            return;
          default:
            reply satisfies never;
        }
      });
      port.on('close', () => reject(new MonocoreError('ThreadDied', 'the search was cut off; try again')));
    });
    window.lend((buffer) => port.postMessage(buffer, [buffer]));
    return ended.finally(() => {
      cancelTimer();
      this.#stopPage = () => {};
    });
  }
}

function newPlace(id: StreamId, end: Position): SearchPlace {
  return { id, at: ORIGIN, end, time: EARLIEST, isInRecord: false };
}

function silenceError({ grep }: LogFilter, silenceMs: number): MonocoreError {
  const seconds = silenceMs / 1000;
  return new MonocoreError(
    'Aborted',
    grep
      ? `the search was ended: the pattern was at a single record for more than ${seconds} s; try a simpler one`
      : `the search was ended: it did not go on for ${seconds} s`,
  );
}
