/** Search of a reader: starts one page after the other and passes on what they find. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Clock } from '../../../src/lib/clock.ts';
import { fromWireError, MonocoreError } from '../../../src/lib/errors.ts';
import { ORIGIN, type Position, type StreamId, streamKey } from '../../../src/protocol/log-files/names.ts';
import type {
  LogFilter,
  SearchOrder,
  SearchPage,
  SearchPlace,
  SearchReply,
  SearchState,
} from '../../../src/protocol/log-files/queries.ts';
import { EARLIEST, LF } from '../../../src/protocol/log-files/record.ts';
import type { ChunkWindow } from '../../log-files/chunk-window.ts';

const NEWLINE = Buffer.from([LF]);

/** Starts a job for a page, which answers on `port` with `SearchReply`s. The returned function cancels it. */
export type StartPage = (page: SearchPage, port: MessagePort) => () => void;

interface LogSearchOptions {
  readonly logDir: string;
  readonly filter: LogFilter;
  readonly window: ChunkWindow;
  readonly startPage: StartPage;
  readonly pageSilenceMs: number;
  readonly clock: Clock;
}

interface StreamEnd {
  readonly id: StreamId;
  readonly end: Position;
}

/** Keeps how far each stream was searched. Log worker. */
export class LogSearch {
  readonly #options: LogSearchOptions;
  readonly #places = new Map<string, SearchPlace>();
  /** Streams whose files were removed during the current delivery. */
  readonly #forgotten = new Set<string>();
  #stopPage: (error: Error) => void = () => {};
  /** Port of the running page. */
  #pagePort: MessagePort | null = null;
  #stopped: Error | null = null;

  constructor(options: LogSearchOptions) {
    this.#options = options;
  }

  /** Progress of the streams. */
  places(): SearchPlace[] {
    return [...this.#places.values()];
  }

  /**
   * Delivers the matching records from the first file on, or the last `tail` of them, in the order of their times.
   *
   * @throws ReaderGone; MonocoreError `Aborted` if a page gave no sign of life for too long, `ThreadDied` if it died
   */
  async deliverPast(streams: readonly StreamEnd[], tail: number | null): Promise<void> {
    if (tail === null) {
      await this.#deliver({ phase: 'deliver', places: streams.map(({ id, end }) => newPlace(id, end)) });
      return;
    }
    const places = streams.map(({ id, end }) => ({ id, end, start: end, startTime: EARLIEST, at: end, next: null }));
    await this.#deliver({ phase: 'tail', tail: { missing: tail, streams: places } });
  }

  /** Delivers the matching records from the current positions to the new ends. Throws as {@link deliverPast}. */
  async deliverNew(streams: readonly StreamEnd[]): Promise<void> {
    const places = streams.map(({ id, end }) => ({ ...(this.#places.get(streamKey(id)) ?? newPlace(id, end)), end }));
    await this.#deliver({ phase: 'deliver', places });
  }

  /** Tells that the files of the stream were removed; new ones start at the first number. */
  forget(id: StreamId): void {
    this.#places.delete(streamKey(id));
    this.#forgotten.add(streamKey(id));
    this.#pagePort?.postMessage({ type: 'forget', id } satisfies SearchOrder);
  }

  /** Ends the running page and starts no other; the delivery throws `error`. */
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

  /** Leaves out removed streams: their positions would be positions in new files. Ends a record that was begun. */
  async #dropForgotten(state: SearchState): Promise<SearchState> {
    if (this.#forgotten.size === 0) return state;
    const isKept = ({ id }: { readonly id: StreamId }) => !this.#forgotten.has(streamKey(id));
    if (state.phase === 'tail') {
      return { phase: 'tail', tail: { ...state.tail, streams: state.tail.streams.filter(isKept) } };
    }
    const isCut = state.places.some((place) => place.isInRecord && !isKept(place));
    const kept = { phase: state.phase, places: state.places.filter(isKept) };
    if (isCut) await this.#options.window.append(NEWLINE, 0, NEWLINE.length);
    return kept;
  }

  async #runPage(state: SearchState): Promise<SearchState> {
    const { logDir, filter, window, startPage } = this.#options;
    // A job would only hold a thread while the reader takes nothing.
    await window.hasRoom();
    const current = await this.#dropForgotten(state);
    if (this.#stopped) throw this.#stopped;
    const { port1: port, port2: jobPort } = new MessageChannel();
    this.#pagePort = port;
    const cancel = startPage({ logDir, filter, state: current }, jobPort);
    let unused: readonly ArrayBuffer[] = [];
    try {
      const end = await this.#relay(port);
      unused = end.unused;
      return end.state;
    } catch (error) {
      cancel();
      throw error;
    } finally {
      this.#pagePort = null;
      window.endLoan(unused);
      port.close();
    }
  }

  /** Lends the job the reader's buffers and passes on the filled ones, until the job's last message. */
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
      port.on('close', () => reject(new MonocoreError('ThreadDied', 'the search failed: its thread died; try again')));
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
      ? `the search was cancelled: the pattern took more than ${seconds} s for a single record; try a simpler pattern`
      : `the search was cancelled: it made no progress for ${seconds} s; try again`,
  );
}
