/** Search on behalf of a reader: starts one page after another and passes on what they find. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Clock } from '../../../src/lib/clock.ts';
import { fromWireError, MonocoreError } from '../../../src/lib/errors.ts';
import { deferred } from '../../../src/lib/promises.ts';
import { ORIGIN, type StreamId, streamKey } from '../../../src/protocol/log-files/names.ts';
import type {
  LogFilter,
  SearchOrder,
  SearchPage,
  SearchPlace,
  SearchReply,
  SearchState,
  StreamEnd,
  StreamStarts,
} from '../../../src/protocol/log-files/queries.ts';
import { EARLIEST, LF } from '../../../src/protocol/log-files/record.ts';
import { type ChunkWindow, ReaderGone } from '../../log-files/chunk-window.ts';
import { startTail } from '../../log-files/tail-search.ts';

const NEWLINE = Buffer.from([LF]);

/** Starts a job for a page, which answers on `port` with `SearchReply`s. The returned function cancels it. */
export type StartPage = (page: SearchPage, port: MessagePort) => () => void;

/** Parts of the log worker that every search needs. */
export interface SearchOptions {
  readonly logDir: string;
  readonly startPage: StartPage;
  /** Time without a keep-alive message after which a page is cancelled. */
  readonly pageSilenceMs: number;
  readonly clock: Clock;
}

/** Tracks how far each stream has been searched. Log worker. */
export class LogSearch {
  readonly #options: SearchOptions;
  readonly #filter: LogFilter;
  readonly #window: ChunkWindow;
  readonly #starts: StreamStarts;
  readonly #places = new Map<string, SearchPlace>();
  /** Streams whose files were removed during the current delivery. */
  readonly #forgotten = new Set<string>();
  #stopPage: (error: Error) => void = () => {};
  /** Port of the running page. */
  #pagePort: MessagePort | null = null;

  constructor(options: SearchOptions, filter: LogFilter, window: ChunkWindow, starts: StreamStarts = {}) {
    this.#options = options;
    this.#starts = starts;
    this.#filter = filter;
    this.#window = window;
  }

  /** Progress of the streams. */
  places(): SearchPlace[] {
    return [...this.#places.values()];
  }

  /**
   * Delivers the matching records of each stream up to its end, ordered by time: starting where the last delivery
   * ended, or the first time at the first file or with the last `tail` records.
   *
   * @throws ReaderGone; MonocoreError `Aborted` if a page sent no keep-alive message for too long, `ThreadDied` if it
   * died
   */
  async deliver(streams: readonly StreamEnd[], tail: number | null): Promise<void> {
    this.#forgotten.clear();
    let state: SearchState =
      tail === null
        ? { phase: 'deliver', places: streams.map((stream) => ({ ...this.#placeOf(stream.id), ...stream })) }
        : { phase: 'tail', tail: startTail(tail, streams) };
    while (state.phase !== 'done') state = await this.#runPage(state);
    for (const place of state.places) {
      const key = streamKey(place.id);
      if (!this.#forgotten.has(key)) this.#places.set(key, place);
    }
  }

  /** Notifies the search that the files of the stream were removed; new ones start at the first number. */
  forget(id: StreamId): void {
    this.#places.delete(streamKey(id));
    this.#forgotten.add(streamKey(id));
    this.#pagePort?.postMessage({ type: 'forget', id } satisfies SearchOrder);
  }

  /** Ends the running page, because the reader has gone. The window starts no other. */
  stop(): void {
    this.#stopPage(new ReaderGone());
  }

  #placeOf(id: StreamId): Omit<SearchPlace, 'id' | 'end'> {
    return (
      this.#places.get(streamKey(id)) ?? { at: this.#starts[id.stream] ?? ORIGIN, time: EARLIEST, isInRecord: false }
    );
  }

  /** Leaves out removed streams, because positions in them would refer to new files. Ends a record that was begun. */
  async #dropForgotten(state: SearchState): Promise<SearchState> {
    if (this.#forgotten.size === 0) return state;
    const isKept = ({ id }: { readonly id: StreamId }) => !this.#forgotten.has(streamKey(id));
    if (state.phase === 'tail') {
      return { phase: 'tail', tail: { ...state.tail, streams: state.tail.streams.filter(isKept) } };
    }
    const isCut = state.places.some((place) => place.isInRecord && !isKept(place));
    const kept = { phase: state.phase, places: state.places.filter(isKept) };
    if (isCut) await this.#window.append(NEWLINE, 0, NEWLINE.length);
    return kept;
  }

  /** Lends the reader's buffers to a job and passes on the filled ones, until the job's last message. */
  async #runPage(state: SearchState): Promise<SearchState> {
    const { logDir, startPage, pageSilenceMs, clock } = this.#options;
    // While the reader is not reading, a job would only occupy a thread.
    await this.#window.hasRoom();
    const current = await this.#dropForgotten(state);
    const { port1: port, port2: jobPort } = new MessageChannel();
    const ended = deferred<Extract<SearchReply, { type: 'page' }>>();
    let cancelTimer = () => {};
    port.on('message', (reply: SearchReply) => {
      cancelTimer();
      cancelTimer = clock.after(pageSilenceMs, () => ended.reject(silenceError(this.#filter, pageSilenceMs)));
      if (reply.type === 'chunk') this.#window.relay(reply.bytes);
      else if (reply.type === 'page') ended.resolve(reply);
      else if (reply.type === 'error') ended.reject(fromWireError(reply.error));
    });
    port.on('close', () => {
      ended.reject(new MonocoreError('ThreadDied', 'the search failed: its thread died; try again'));
    });
    this.#pagePort = port;
    this.#stopPage = ended.reject;
    const cancel = startPage({ logDir, filter: this.#filter, state: current }, jobPort);
    this.#window.lend((buffer) => port.postMessage(buffer, [buffer]));
    let unused: readonly ArrayBuffer[] = [];
    try {
      const page = await ended.promise;
      unused = page.unused;
      return page.state;
    } catch (error) {
      cancel();
      throw error;
    } finally {
      cancelTimer();
      this.#stopPage = () => {};
      this.#pagePort = null;
      this.#window.endLoan(unused);
      port.close();
    }
  }
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
