/**
 * Positions up to which other log workers have written their streams. One worker serves all readers. While somebody
 * reads, the others keep it informed of their progress; it reads the records themselves from the files, as for its own
 * streams.
 */
import type { MessagePort } from 'node:worker_threads';
import { type Position, type StreamId, streamKey } from '../../../src/protocol/log-files/names.ts';

/** End of the written part of a stream. */
interface StreamPosition {
  readonly id: StreamId;
  readonly settled: Position;
}

/**
 * Request of the worker that reads. The answer to `watch` is a `snapshot`, followed by `moved` and `closed` as they
 * occur.
 */
type PeerRequest = { readonly type: 'watch' } | { readonly type: 'unwatch' };

type PeerMessage =
  | { readonly type: 'snapshot'; readonly streams: readonly StreamPosition[] }
  | { readonly type: 'moved'; readonly streams: readonly StreamPosition[] }
  /** The stream is no longer being written. */
  | { readonly type: 'closed'; readonly id: StreamId };

/** Time that a reader waits for the answer of a writing worker, and for its last positions. */
const PEER_TIMEOUT_MS = 1000;

/** Reports positions, in a worker that writes. */
export class PositionTeller {
  readonly #listOpen: () => readonly StreamPosition[];
  readonly #watchers = new Set<MessagePort>();
  readonly #moved = new Map<string, StreamPosition>();
  #isScheduled = false;

  /** Creates the reporter. @param listOpen lists every open stream with its end */
  constructor(listOpen: () => readonly StreamPosition[]) {
    this.#listOpen = listOpen;
  }

  /** Answers requests on `port` until it is closed. */
  serve(port: MessagePort): void {
    port.on('message', ({ type }: PeerRequest) => {
      if (type === 'unwatch') {
        this.#watchers.delete(port);
        return;
      }
      this.#watchers.add(port);
      port.postMessage({ type: 'snapshot', streams: this.#listOpen() } satisfies PeerMessage);
    });
    port.on('close', () => this.#watchers.delete(port));
  }

  /** Reports that the stream has been written up to `settled`, once per turn of the event loop. */
  move(id: StreamId, settled: Position): void {
    if (this.#watchers.size === 0) return;
    this.#moved.set(streamKey(id), { id, settled });
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.flush());
  }

  close(id: StreamId): void {
    this.flush();
    this.#post({ type: 'closed', id });
  }

  /** Reports pending positions. */
  flush(): void {
    this.#isScheduled = false;
    if (this.#moved.size === 0) return;
    this.#post({ type: 'moved', streams: [...this.#moved.values()] });
    this.#moved.clear();
  }

  #post(message: PeerMessage): void {
    for (const port of this.#watchers) port.postMessage(message);
  }
}

/** Connection to a worker that writes, in the worker that reads. */
class Peer {
  readonly positions = new Map<string, Position>();
  readonly closed: Promise<void>;
  /** Settles with the answer to the last `watch`. */
  snapshot: Promise<void> = Promise.resolve();
  readonly #port: MessagePort;
  #onSnapshot = (): void => {};

  constructor(port: MessagePort, onMoved: (id: StreamId, settled: Position) => void) {
    this.#port = port;
    this.closed = new Promise((resolve) => port.on('close', resolve));
    port.on('message', (message: PeerMessage) => {
      if (message.type === 'closed') {
        this.positions.delete(streamKey(message.id));
        return;
      }
      for (const { id, settled } of message.streams) {
        this.positions.set(streamKey(id), settled);
        onMoved(id, settled);
      }
      if (message.type === 'snapshot') this.#onSnapshot();
    });
  }

  watch(): void {
    const answered = new Promise<void>((resolve) => {
      this.#onSnapshot = resolve;
    });
    this.snapshot = Promise.race([answered, this.closed, timeout()]);
    this.#port.postMessage({ type: 'watch' } satisfies PeerRequest);
  }

  unwatch(): void {
    this.#port.postMessage({ type: 'unwatch' } satisfies PeerRequest);
    this.positions.clear();
  }
}

/** Positions of all other workers, in the worker that serves readers. */
export class PeerPositions {
  readonly #peers = new Set<Peer>();
  readonly #onMoved: (id: StreamId, settled: Position) => void;
  #readers = 0;

  /** Creates the collection. @param onMoved called when the files of a stream have more records, up to `settled` */
  constructor(onMoved: (id: StreamId, settled: Position) => void) {
    this.#onMoved = onMoved;
  }

  /** End of a stream that another worker is writing; null if none is. */
  settledEnd(id: StreamId): Position | null {
    const key = streamKey(id);
    for (const { positions } of this.#peers) {
      const position = positions.get(key);
      if (position) return position;
    }
    return null;
  }

  /** Follows the worker at the other end of `port` until that worker ends. */
  add(port: MessagePort): void {
    const peer = new Peer(port, this.#onMoved);
    this.#peers.add(peer);
    void peer.closed.then(() => this.#peers.delete(peer));
    if (this.#readers > 0) peer.watch();
  }

  /** Called when a reader starts; resolves once all positions are known. */
  async acquire(): Promise<void> {
    this.#readers += 1;
    if (this.#readers === 1) for (const peer of this.#peers) peer.watch();
    await Promise.all([...this.#peers].map(({ snapshot }) => snapshot));
  }

  /** Called when a reader has ended. */
  release(): void {
    this.#readers -= 1;
    if (this.#readers > 0) return;
    for (const peer of this.#peers) peer.unwatch();
  }

  /** Waits until the other workers have ended and thus reported their last positions. */
  async drain(): Promise<void> {
    await Promise.race([Promise.all([...this.#peers].map(({ closed }) => closed)), timeout()]);
  }
}

function timeout(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PEER_TIMEOUT_MS).unref());
}
