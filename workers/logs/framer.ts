/**
 * From the bytes of a stream to the records of its file. Pure: bytes in one part of a memory become bytes in another,
 * so that the function can be tested alone, and be replaced by one in WebAssembly over the same memory.
 *
 * A record is `2026-11-23T08:00:00.123Z INFO [web] line\n`, the format of the seed. `\r\n` ends a line as `\n` does;
 * every other byte is kept as it came, whatever its encoding.
 */
import { isoTime } from '../../src/clock.ts';

/** Line feed: ends a line, and a record. */
export const LF = 10;
const CR = 13;

/** Bytes of the time at the start of a record, as {@link isoTime} renders it. */
export const TIME_BYTES = 24;

/** The most that is read from a stream at once: what a pipe holds, see pipe(7). */
export const INPUT_BYTES = 65_536;
/** Room before the input, to put back what was withheld of the chunk before. */
export const HEADROOM_BYTES = 128;
/** Longest prefix: a time, and a label with a service name of 63 bytes. */
const PREFIX_BYTES = 128;
/** A chunk of ordinary lines in one piece. Bare newlines grow 37 times and more: they take several pieces. */
const OUTPUT_BYTES = 262_144;

/** Where the input starts in {@link FrameMemory.bytes}. */
export const INPUT_START = HEADROOM_BYTES;
// One byte more than the input: frame() puts a newline behind what it searches.
const PREFIX_START = INPUT_START + INPUT_BYTES + 1;
/** Where the output starts in {@link FrameMemory.bytes}. */
export const OUTPUT_START = PREFIX_START + PREFIX_BYTES;
const OUTPUT_END = OUTPUT_START + OUTPUT_BYTES;

/**
 * Input, prefix and output in one ArrayBuffer, because `copyWithin` moves short runs twice as fast as `Buffer.copy`.
 * One for all streams of the thread: it holds nothing from one chunk to the next.
 */
export class FrameMemory {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(OUTPUT_END);
  /** For the socket to read into. */
  readonly input: Buffer = this.bytes.subarray(INPUT_START, INPUT_START + INPUT_BYTES);
  /** Where the output of the last {@link frame} or {@link endLine} ends; it starts at {@link OUTPUT_START}. */
  outputEnd: number = OUTPUT_START;
  /** Where the prefix ends. */
  prefixEnd: number = PREFIX_START;
  #label: Uint8Array | null = null;
  #epochMs = Number.NaN;

  /**
   * Sets what stands before each line from now on.
   *
   * @param label see {@link recordLabel}
   * @param epochMs when the lines came; the time is rendered once per millisecond
   */
  setPrefix(label: Uint8Array, epochMs: number): void {
    if (epochMs !== this.#epochMs) {
      this.bytes.write(isoTime(epochMs), PREFIX_START, 'latin1');
      this.#epochMs = epochMs;
    }
    if (label !== this.#label) {
      this.bytes.set(label, PREFIX_START + TIME_BYTES);
      this.prefixEnd = PREFIX_START + TIME_BYTES + label.length;
      this.#label = label;
    }
  }
}

const LEVELS = { stdout: 'INFO', stderr: 'ERROR', console: 'DEBUG' } as const;

/** What stands between a record's time and its line: ` INFO [web] `. */
export function recordLabel(service: string, stream: keyof typeof LEVELS): Uint8Array {
  return Buffer.from(` ${LEVELS[stream]} [${service}] `, 'latin1');
}

/** What is known of a stream between two chunks: flags in place of a pending line, so any length costs no memory. */
export interface FramerState {
  atLineStart: boolean;
  /** The last byte was a carriage return, which is withheld: a newline may follow. */
  heldCr: boolean;
  /** Lines that have ended. */
  lines: number;
}

/** The state of a stream that has said nothing. */
export function newFramerState(): FramerState {
  return { atLineStart: true, heldCr: false, lines: 0 };
}

/**
 * Frames the bytes of `memory` in [from, to) into its output, as far as the output has room.
 *
 * @param to at most {@link INPUT_BYTES} behind {@link INPUT_START}
 * @returns where it stopped: `to`, or less, then the output is to be taken and the rest framed by another call
 */
export function frame(memory: FrameMemory, state: FramerState, from: number, to: number): number {
  const { bytes, prefixEnd } = memory;
  let at = from;
  let out = OUTPUT_START;
  if (state.heldCr && at < to) {
    if (bytes[at] !== LF) out = putCr(memory, state, out);
    state.heldCr = false;
  }
  // indexOf has no end of its own: this newline stops it.
  const behind = bytes[to]!;
  bytes[to] = LF;
  while (at < to) {
    const newline = bytes.indexOf(LF, at);
    const isWhole = newline < to;
    let end = newline;
    const endsInCr = end > at && bytes[end - 1] === CR;
    if (endsInCr) end -= 1;
    if (out + PREFIX_BYTES + (end - at) + 1 > OUTPUT_END) break;
    if (state.atLineStart && (isWhole || end > at)) {
      bytes.copyWithin(out, PREFIX_START, prefixEnd);
      out += prefixEnd - PREFIX_START;
      state.atLineStart = false;
    }
    bytes.copyWithin(out, at, end);
    out += end - at;
    if (isWhole) {
      bytes[out] = LF;
      out += 1;
      state.atLineStart = true;
      state.lines += 1;
      at = newline + 1;
    } else {
      state.heldCr = endsInCr;
      at = to;
    }
  }
  bytes[to] = behind;
  memory.outputEnd = out;
  return at;
}

/** Ends a line that has begun, into the output: at the end of the stream, or of what the service printed. */
export function endLine(memory: FrameMemory, state: FramerState): void {
  let out = OUTPUT_START;
  if (state.heldCr) out = putCr(memory, state, out);
  state.heldCr = false;
  if (!state.atLineStart) {
    memory.bytes[out] = LF;
    out += 1;
    state.atLineStart = true;
    state.lines += 1;
  }
  memory.outputEnd = out;
}

/** Writes the withheld carriage return, which turned out to be one of the line. */
function putCr(memory: FrameMemory, state: FramerState, at: number): number {
  let out = at;
  if (state.atLineStart) {
    memory.bytes.copyWithin(out, PREFIX_START, memory.prefixEnd);
    out += memory.prefixEnd - PREFIX_START;
    state.atLineStart = false;
  }
  memory.bytes[out] = CR;
  return out + 1;
}
