/** Forward through the streams of a search: what matches goes out, until it is time to end the page. */

import { recordTime } from '../../../src/protocol/log-files/formats.ts';
import type { Position } from '../../../src/protocol/log-files/names.ts';
import type { SearchPlace } from '../../../src/protocol/log-files/queries.ts';
import { EARLIEST, LF } from '../../../src/protocol/log-files/record.ts';
import type { RecordTest } from '../../log-files/backward-scan.ts';
import type { ChunkWindow } from '../../log-files/chunk-window.ts';
import { MAX_SEEN_BYTES } from '../../log-files/record-scan.ts';
import { makeBlocks, StreamCursor } from '../../log-files/stream-cursor.ts';
import { placeIn, type Run, TimeMerge } from '../../log-files/time-merge.ts';

/** What to deliver, and when to end. */
export interface DeliveryOptions {
  readonly logDir: string;
  readonly wants: RecordTest;
  /** Files that were last written before are passed over, milliseconds since the epoch. */
  readonly sinceMs: number | null;
  readonly window: ChunkWindow;
  /** How long to wait for a reader that takes nothing. */
  readonly patienceMs: number;
  /** True: the page ends at the next record. */
  readonly isDue: () => boolean;
}

/** A record that comes in pieces and of which it is not decided whether it is wanted. */
interface OpenRecord {
  readonly fate: 'open';
  readonly start: Position;
  /** Time of the record before it. */
  readonly before: string;
  /** What came so far, copied. */
  readonly pieces: Buffer[];
  bytes: number;
}

/** A record that comes in pieces, of which the end has not come. */
type LongRecord = OpenRecord | { readonly fate: 'sent' | 'dropped' };

/** Where a stream was left in the middle of a run. */
interface Stop {
  readonly rank: number;
  readonly at: Position;
  readonly time: string;
  readonly isInRecord: boolean;
}

/**
 * Delivers what matches between the places and their ends, in the order of times. What was put last may still have to be
 * flushed.
 *
 * @returns where to go on; null when all is delivered
 * @throws ReaderGone
 */
export async function deliverFound(
  places: readonly SearchPlace[],
  options: DeliveryOptions,
): Promise<SearchPlace[] | null> {
  const { logDir, sinceMs } = options;
  const cursors = places.map(
    ({ id, at, isInRecord }) => new StreamCursor({ logDir, id, start: at, isInRecord, sinceMs }),
  );
  const blocks = makeBlocks(places.length);
  const sources = places.map(({ end, time, isInRecord }, rank) => ({
    next: () => cursors[rank]!.take(end, blocks[rank]!),
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
  /** Of the last record that was dealt with, for each stream. */
  readonly times: string[];
  readonly #options: DeliveryOptions;
  #long: LongRecord | null;

  constructor(places: readonly SearchPlace[], options: DeliveryOptions) {
    this.times = places.map(({ time }) => time);
    this.#options = options;
    this.#long = places.some(({ isInRecord }) => isInRecord) ? { fate: 'sent' } : null;
  }

  /** Takes the records of a run, or tells where it stopped. */
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

  /** All that can be done with a record without waiting. */
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

  /** How much was sent. */
  async #sendPieces(pieces: readonly Buffer[]): Promise<number> {
    let sentBytes = 0;
    for (const piece of pieces) {
      if (!(await this.#send(piece, 0, piece.length))) break;
      sentBytes += piece.length;
    }
    return sentBytes;
  }

  /** False when the reader takes nothing. */
  async #send(bytes: Buffer, from: number, to: number): Promise<boolean> {
    const { window, patienceMs } = this.#options;
    return window.put(bytes, from, to) || ((await window.turn(patienceMs)) && window.put(bytes, from, to));
  }
}
