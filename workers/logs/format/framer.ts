/**
 * Framer: converts the bytes of a stream to the records of its file. It only moves bytes within one memory, so it can
 * be tested in isolation. The formats are defined in `src/protocol/log-files/`; `framers.ts` selects the framer for a
 * format.
 *
 * A line ends at `\n` or `\r\n`; all other bytes are kept. The end of the stream, or of its capture, ends the last
 * line. A line longer than `max_line` bytes is split into several records; joined together, they are the line, byte for
 * byte. A record with level WARN (40) comes from monocore itself: it reports output that was dropped at that point.
 */

import {
  type Gap,
  MAX_HEAD_BYTES,
  type RecordFormat,
  type RecordOrigin,
} from '../../../src/protocol/log-files/record.ts';
import type { FramerState } from '../../../src/protocol/logs.ts';
import { openSimdFramer, type SimdFramer } from './simd-framer.ts';

export const CR = 13;

/** Maximum number of bytes read from a stream at once: the default capacity of a pipe, see pipe(7). */
export const INPUT_BYTES = 65_536;
/** Space before the input, for bytes held back from the previous chunk. */
export const HEADROOM_BYTES = 128;
/** Number of bytes that {@link SimdFramer} may write after a line, plus the end of a record. */
const SLACK_BYTES = 32;
/**
 * Size of the output, enough for a chunk of ordinary lines. Empty lines grow by a factor of 37 and more: they take
 * several calls.
 */
const OUTPUT_BYTES = 262_144;

// Offsets in FrameMemory.bytes.
export const INPUT_START = HEADROOM_BYTES;
// One spare byte after the input: framers put a newline there, which ends their search.
export const HEAD_START = INPUT_START + INPUT_BYTES + 1;
export const OUTPUT_START = HEAD_START + MAX_HEAD_BYTES;
export const OUTPUT_END = OUTPUT_START + OUTPUT_BYTES;
/** Offset up to which a line may end so that its record certainly fits, whatever its head. */
export const OUTPUT_LIMIT = OUTPUT_END - MAX_HEAD_BYTES - SLACK_BYTES;

/**
 * Memory shared by framers: input, head and output in one ArrayBuffer, because `copyWithin` is twice as fast as
 * `Buffer.copy` for short runs. All streams of a thread share one memory: it keeps nothing from one chunk to the next.
 */
export class FrameMemory {
  readonly bytes: Buffer;
  /** SIMD framer that works on {@link FrameMemory.bytes}; null if it is not available. */
  readonly simd: SimdFramer | null;
  /** Buffer to read a stream into. */
  readonly input: Buffer;
  /**
   * Contains the output of the last call: {@link FrameMemory.bytes}, or a separate buffer if there was not enough room.
   */
  output: Buffer;
  outputStart: number = OUTPUT_START;
  outputEnd: number = OUTPUT_START;
  #headOwner: object | null = null;
  #headEpochMs = Number.NaN;

  /** Allocates the memory. @param simd use {@link SimdFramer} if it is available; `false` is for comparisons */
  constructor({ simd = true }: { readonly simd?: boolean } = {}) {
    this.simd = simd ? openSimdFramer(OUTPUT_END) : null;
    this.bytes = this.simd ? Buffer.from(this.simd.memory.buffer, 0, OUTPUT_END) : Buffer.allocUnsafeSlow(OUTPUT_END);
    this.input = this.bytes.subarray(INPUT_START, INPUT_START + INPUT_BYTES);
    this.output = this.bytes;
  }

  /** True if the head in memory is not that of `owner` at that time, so that the caller must write it. */
  claimHead(owner: object, epochMs: number): boolean {
    if (owner === this.#headOwner && epochMs === this.#headEpochMs) return false;
    this.#headOwner = owner;
    this.#headEpochMs = epochMs;
    return true;
  }

  /** Sets the output of a call, which ends at `end`. */
  setOutput(end: number): void {
    this.output = this.bytes;
    this.outputStart = OUTPUT_START;
    this.outputEnd = end;
  }

  /** Sets the output of a call to `bytes`. */
  setOwnOutput(bytes: Buffer): void {
    this.output = bytes;
    this.outputStart = 0;
    this.outputEnd = bytes.length;
  }
}

/** Framer of one stream. Its output stays in the memory until the next call of any framer that uses the same memory. */
export interface Framer {
  /** Number of completed lines. */
  readonly lines: number;
  /** True unless a line has begun. */
  readonly isBetweenLines: boolean;
  /** True if the output ends within a record: anything appended from elsewhere would become part of that record. */
  readonly isInRecord: boolean;
  /**
   * Converts the bytes of the memory in [from, to) to records, as far as the output has room.
   *
   * @param to at most {@link INPUT_BYTES} after {@link INPUT_START}
   * @param epochMs time when the bytes arrived
   * @returns the offset at which it stopped: `to`, or less; then write the output and call again for the rest
   */
  frame(from: number, to: number, epochMs: number): number;
  /** Ends a line that has begun, at the end of the stream or of the service's output. */
  endLine(epochMs: number): void;
  /** Makes the next bytes continue the last record of the file, which a crash cut off. */
  continueLine(): void;
  /** State for another framer of the same stream and format; call it once all output has been written. */
  save(): FramerState;
  /** Continues from the saved state of another framer. */
  restore(state: FramerState): void;
  /** Record of monocore itself about dropped output, with its newline. */
  notice(gap: Gap, epochMs: number): Buffer;
}

export interface FramerOptions {
  readonly memory: FrameMemory;
  readonly format: RecordFormat;
  readonly id: RecordOrigin;
  readonly maxLineBytes: number;
}
