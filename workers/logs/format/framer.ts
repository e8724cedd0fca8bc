/**
 * Framer: turns the bytes of a stream into the records of its file. It only moves bytes within one memory, so it can be
 * tested alone. The formats are in `src/protocol/log-files/`; `framers.ts` chooses the framer of a format.
 *
 * A line ends at `\n` or `\r\n`; every other byte is kept. The end of the stream, or of its capture, ends the last line.
 * A line of more than `max_line` bytes becomes several records, its parts; joined, they are the line, byte for byte. A
 * record with level WARN (40) is monocore's own: it reports output that was dropped where it stands.
 */

import type { StreamId } from '../../../src/protocol/log-files/names.ts';
import { type Gap, MAX_HEAD_BYTES, type RecordFormat } from '../../../src/protocol/log-files/record.ts';
import type { FramerState } from '../../../src/protocol/logs.ts';
import { openSimdFramer, type SimdFramer } from './simd-framer.ts';

export const CR = 13;

/** Most bytes that are read from a stream at once: the default capacity of a pipe, see pipe(7). */
export const INPUT_BYTES = 65_536;
/** Room before the input, for bytes withheld from the previous chunk. */
export const HEADROOM_BYTES = 128;
/** Bytes that {@link SimdFramer} may write behind a line, and the end of a record. */
const SLACK_BYTES = 32;
/** Holds a chunk of ordinary lines. Bare newlines grow 37 times and more: they take several calls. */
const OUTPUT_BYTES = 262_144;

// Offsets in FrameMemory.bytes.
export const INPUT_START = HEADROOM_BYTES;
// One byte behind the input is spare: framers put a newline there, which ends their search.
export const HEAD_START = INPUT_START + INPUT_BYTES + 1;
export const OUTPUT_START = HEAD_START + MAX_HEAD_BYTES;
export const OUTPUT_END = OUTPUT_START + OUTPUT_BYTES;
/** A record whose line ends before this has room, whatever its head. */
export const OUTPUT_LIMIT = OUTPUT_END - MAX_HEAD_BYTES - SLACK_BYTES;

/**
 * Memory of framers: input, head and output in one ArrayBuffer, because `copyWithin` moves short runs twice as fast as
 * `Buffer.copy`. All streams of a thread share one: it holds nothing from one chunk to the next.
 */
export class FrameMemory {
  readonly bytes: Buffer;
  /** Works on {@link FrameMemory.bytes}; null where framers do everything themselves. */
  readonly simd: SimdFramer | null;
  /** Room to read a stream into. */
  readonly input: Buffer;
  /** Holds the output of the last call: {@link FrameMemory.bytes}, or a buffer of its own if that had no room. */
  output: Buffer;
  outputStart: number = OUTPUT_START;
  outputEnd: number = OUTPUT_START;
  #headOwner: object | null = null;
  #headEpochMs = Number.NaN;

  /** @param simd use {@link SimdFramer} where it is available; `false` is for comparisons */
  constructor({ simd = true }: { readonly simd?: boolean } = {}) {
    this.simd = simd ? openSimdFramer(OUTPUT_END) : null;
    this.bytes = this.simd ? Buffer.from(this.simd.memory.buffer, 0, OUTPUT_END) : Buffer.allocUnsafeSlow(OUTPUT_END);
    this.input = this.bytes.subarray(INPUT_START, INPUT_START + INPUT_BYTES);
    this.output = this.bytes;
  }

  /** True if the head in memory is not that of `owner` at that time; the caller then writes it. */
  claimHead(owner: object, epochMs: number): boolean {
    if (owner === this.#headOwner && epochMs === this.#headEpochMs) return false;
    this.#headOwner = owner;
    this.#headEpochMs = epochMs;
    return true;
  }

  /** The output of a call ends at `end`. */
  setOutput(end: number): void {
    this.output = this.bytes;
    this.outputStart = OUTPUT_START;
    this.outputEnd = end;
  }

  /** The output of a call is `bytes`. */
  setOwnOutput(bytes: Buffer): void {
    this.output = bytes;
    this.outputStart = 0;
    this.outputEnd = bytes.length;
  }
}

/** Framer of one stream. Its output stays in the memory until the next call of any framer of that memory. */
export interface Framer {
  /** Number of lines that have ended. */
  readonly lines: number;
  /** True unless a line has begun. */
  readonly isBetweenLines: boolean;
  /** True if the output ends within a record: what is appended from elsewhere would become part of it. */
  readonly isInRecord: boolean;
  /**
   * Frames the bytes of the memory in [from, to), as far as the output has room.
   *
   * @param to at most {@link INPUT_BYTES} behind {@link INPUT_START}
   * @param epochMs when they came
   * @returns where it stopped: `to`, or less; then take the output and call again for the rest
   */
  frame(from: number, to: number, epochMs: number): number;
  /** Ends a line that has begun: at the end of the stream or of the service's output. */
  endLine(epochMs: number): void;
  /** Makes the next bytes continue the last record of the file, which a crash cut off. */
  continueLine(): void;
  /** State for another framer of the same stream and format, once all output is taken. */
  save(): FramerState;
  /** Goes on where another framer was saved. */
  restore(state: FramerState): void;
  /** Record of monocore's own about dropped output, with its newline. */
  notice(gap: Gap, epochMs: number): Buffer;
}

export interface FramerOptions {
  readonly memory: FrameMemory;
  readonly format: RecordFormat;
  readonly id: StreamId;
  readonly maxLineBytes: number;
}
