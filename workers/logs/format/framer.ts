/**
 * From the bytes of a stream to the records of its file. Bytes in one part of a memory become bytes in another, without
 * any effect besides, so that a framer can be tested alone.
 *
 * A line ends at `\n` or `\r\n`; every other byte is kept as it came. What ends without a newline (the stream, or the
 * capture of it) ends its last line. A line of more than `max_line` bytes becomes several records, its parts; those put
 * together are the line, byte for byte. Two formats:
 *
 * **text**, the seed's: `2026-11-23T08:00:00.123Z INFO [web] line`. The level is INFO for stdout, ERROR for stderr and
 * DEBUG for the console. Every part of a line but the first has a `+` behind its level (`INFO+`): it continues the record
 * before it. Which line will be long is not known when its first record begins, because a line is written as it comes.
 * Bytes are not decoded.
 *
 * **json**, pino's shape: `{"level":30,"time":1763884800123,"service":"web","stream":"stdout","msg":"line"}`, with level
 * 30, 50 and 20. Every part of a line but the last has `"partial":true` at its end: the next record continues it. A line
 * that is no UTF-8 has U+FFFD in `msg` where its faults are, `"invalid_utf8":true`, and its very bytes in `raw`, base64.
 * A line is written when it is whole, so a SIGKILL loses its beginning, too. `"torn":true` is a record that a crash cut
 * off.
 *
 * A record with level WARN (40) is from monocore itself: it tells what was dropped where it stands.
 */
import { isoTime } from '../../../src/lib/clock.ts';
import type { FramerState } from '../../../src/protocol/logs.ts';
import type { StreamId } from '../capture/file-names.ts';
import { openSimdFramer, type SimdFramer } from './simd-framer.ts';

/** Line feed: ends a line, and a record. */
export const LF = 10;
export const CR = 13;

/** Bytes of the time at the start of a text record, as {@link isoTime} renders it. */
export const TIME_BYTES = 24;

/** The most that is read from a stream at once: what a pipe holds, see pipe(7). */
export const INPUT_BYTES = 65_536;
/** Room before the input, to put back what was withheld of the chunk before. */
export const HEADROOM_BYTES = 128;
/** Longest prefix: that of a JSON record with a service name of 63 bytes has 142. */
export const PREFIX_BYTES = 160;
/** What {@link SimdFramer} may write behind a line, and what ends a record. */
const SLACK_BYTES = 32;
/** A chunk of ordinary lines in one piece. Bare newlines grow 37 times and more: they take several pieces. */
const OUTPUT_BYTES = 262_144;

/** Where the input starts in {@link FrameMemory.bytes}. */
export const INPUT_START = HEADROOM_BYTES;
// One byte more than the input: framers put a newline behind what they search.
export const PREFIX_START = INPUT_START + INPUT_BYTES + 1;
/** Prefix of a record that continues the one before it. */
export const CONTINUED_START = PREFIX_START + PREFIX_BYTES;
/** Where the output starts in {@link FrameMemory.bytes}. */
export const OUTPUT_START = CONTINUED_START + PREFIX_BYTES;
export const OUTPUT_END = OUTPUT_START + OUTPUT_BYTES;
/** A record whose line ends no later has room, whatever its prefix. */
export const OUTPUT_LIMIT = OUTPUT_END - PREFIX_BYTES - SLACK_BYTES;

/**
 * Input, prefixes and output in one ArrayBuffer, because `copyWithin` moves short runs twice as fast as `Buffer.copy`.
 * One for all streams of the thread: it holds nothing from one chunk to the next.
 */
export class FrameMemory {
  readonly bytes: Buffer;
  /** Works on {@link FrameMemory.bytes}; without it framers do everything themselves. */
  readonly simd: SimdFramer | null;
  /** For the socket to read into. */
  readonly input: Buffer;
  /** What holds the output of the last call: {@link FrameMemory.bytes}, or another where that had no room. */
  output: Buffer;
  outputStart: number = OUTPUT_START;
  outputEnd: number = OUTPUT_START;
  #prefixOwner: object | null = null;
  #prefixEpochMs = Number.NaN;
  #isoEpochMs = Number.NaN;
  #iso = '';

  /** @param simd whether to frame with {@link SimdFramer} where that can be; `false` is for comparisons */
  constructor({ simd = true }: { readonly simd?: boolean } = {}) {
    this.simd = simd ? openSimdFramer(OUTPUT_END) : null;
    this.bytes = this.simd ? Buffer.from(this.simd.memory.buffer, 0, OUTPUT_END) : Buffer.allocUnsafeSlow(OUTPUT_END);
    this.input = this.bytes.subarray(INPUT_START, INPUT_START + INPUT_BYTES);
    this.output = this.bytes;
  }

  /** Whether the prefixes are not those of `owner` at that time; they are from now on. */
  takePrefix(owner: object, epochMs: number): boolean {
    if (owner === this.#prefixOwner && epochMs === this.#prefixEpochMs) return false;
    this.#prefixOwner = owner;
    this.#prefixEpochMs = epochMs;
    return true;
  }

  /** As {@link isoTime}, rendered once per millisecond for all streams. */
  isoTime(epochMs: number): string {
    if (epochMs !== this.#isoEpochMs) {
      this.#iso = isoTime(epochMs);
      this.#isoEpochMs = epochMs;
    }
    return this.#iso;
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

/** Frames one stream. What it puts out is in its memory, until the next call of any framer of that memory. */
export interface Framer {
  /** Lines that have ended. */
  readonly lines: number;
  /**
   * Frames the bytes of the memory in [from, to), as far as the output has room.
   *
   * @param to at most {@link INPUT_BYTES} behind {@link INPUT_START}
   * @param epochMs when they came
   * @returns where it stopped: `to`, or less, then the output is to be taken and the rest framed by another call
   */
  frame(from: number, to: number, epochMs: number): number;
  /** Ends a line that has begun: at the end of the stream, or of what the service printed. */
  endLine(epochMs: number): void;
  /** The next bytes continue the last record of the file: the stream is an old one, and a crash cut it off there. */
  continueLine(): void;
  /** What another framer of the stream and the format needs to go on: all that comes before is put out. */
  save(): FramerState;
  /** Goes on where another one was saved. */
  restore(state: FramerState): void;
  /** A record of monocore's own, with its newline. */
  notice(gap: Gap, epochMs: number): Buffer;
}

/** Whether no line has begun. */
export function isBetweenLines(state: FramerState): boolean {
  return state.type === 'json' ? state.line === null : state.isAtStart && !state.isContinued && !state.heldCr;
}

/** What was dropped between two records. */
export interface Gap {
  /** Newlines in it. */
  readonly lines: number;
  readonly bytes: number;
  /** Why, for people. */
  readonly reason: string;
}

/** What a {@link Gap} says in words. */
export function gapText({ lines, bytes, reason }: Gap): string {
  return `monocore: ${lines} lines (${bytes} bytes) were dropped: ${reason}`;
}

/** How a framer is made. */
export interface FramerOptions {
  readonly memory: FrameMemory;
  readonly id: StreamId;
  readonly maxLineBytes: number;
}

const TEXT_LEVELS = { stdout: 'INFO', stderr: 'ERROR', console: 'DEBUG' } as const;
/** pino's numbers for the same levels. */
const JSON_LEVELS = { stdout: 30, stderr: 50, console: 20 } as const;
const JSON_NOTICE_LEVEL = 40;

/** What stands between the time and the line of a text record: ` INFO [web] `. */
export function textLabel({ service, stream }: StreamId, isContinued: boolean): string {
  return ` ${TEXT_LEVELS[stream]}${isContinued ? '+' : ''} [${service}] `;
}

/** A record in text format about the stream itself. */
export function textNotice({ service }: StreamId, gap: Gap, epochMs: number): Buffer {
  return Buffer.from(`${isoTime(epochMs)} WARN [${service}] ${gapText(gap)}\n`);
}

/** The start of a JSON record, up to the line. No name needs escapes. */
export function jsonPrefix({ service, stream }: StreamId, epochMs: number): string {
  return `{"level":${JSON_LEVELS[stream]},"time":${epochMs},"service":"${service}","stream":"${stream}","msg":"`;
}

/** A record in JSON about the stream itself. */
export function jsonNotice({ service, stream }: StreamId, gap: Gap, epochMs: number): Buffer {
  const { lines, bytes } = gap;
  const record = { level: JSON_NOTICE_LEVEL, time: epochMs, service, stream, msg: gapText(gap) };
  return Buffer.from(`${JSON.stringify({ ...record, dropped_lines: lines, dropped_bytes: bytes })}\n`);
}

/** The end of a JSON record whose line goes on in the next one. */
export const JSON_PARTIAL_END = '"partial":true}\n';
