/** Framer for formats that encode the line: it needs each line as a whole. */
import {
  type BodyEncoder,
  type Gap,
  LF,
  type LinePart,
  MAX_HEAD_BYTES,
} from '../../../src/protocol/log-files/record.ts';
import type { FramerState } from '../../../src/protocol/logs.ts';
import {
  CR,
  type FrameMemory,
  type Framer,
  type FramerOptions,
  HEAD_START,
  OUTPUT_END,
  OUTPUT_LIMIT,
  OUTPUT_START,
} from './framer.ts';

const PENDING_BYTES = 1024;
const OPEN_BRACE = 0x7b;
const WHOLE_LINE: LinePart = { isContinued: false, isPartial: false };

/** Buffers the start of a line until its end arrives: at most `maxLineBytes` plus two bytes. */
export class BufferingFramer implements Framer {
  lines = 0;
  readonly #options: FramerOptions;
  readonly #body: BodyEncoder;
  readonly #memory: FrameMemory;
  readonly #maxLineBytes: number;
  /** Start of a line whose end has not arrived yet. */
  #pending: Buffer = Buffer.allocUnsafeSlow(0);
  #pendingBytes = 0;
  #pendingEpochMs = 0;
  #hasLine = false;
  /** True if the next record continues the previous one. */
  #isContinued = false;
  #out = OUTPUT_START;
  #headEnd = HEAD_START;

  /** Creates the framer. @param body encoder of the format */
  constructor(options: FramerOptions, body: BodyEncoder) {
    this.#options = options;
    this.#body = body;
    this.#memory = options.memory;
    this.#maxLineBytes = options.maxLineBytes;
  }

  get isBetweenLines(): boolean {
    return !this.#hasLine && !this.#isContinued;
  }

  /** False, because this framer only writes complete records. */
  get isInRecord(): boolean {
    return false;
  }

  frame(from: number, to: number, epochMs: number): number {
    const { bytes } = this.#memory;
    this.#begin();
    const behind = bytes[to]!;
    bytes[to] = LF;
    let at = from;
    while (at < to) {
      const begun = at;
      at = this.#frameWhole(begun, to, epochMs);
      if (at === to) break;
      // What may be an object was the last line of that call, or is the next one.
      if (at > begun && (bytes[begun] === OPEN_BRACE || bytes[at] === OPEN_BRACE)) continue;
      const newline = bytes.indexOf(LF, at);
      const isWhole = newline < to;
      if (isWhole && !this.#hasLine && newline - at <= this.#maxLineBytes) {
        if (!this.#put(bytes, at, endOfText(bytes, at, newline), epochMs, false)) break;
        this.lines += 1;
        at = newline + 1;
        continue;
      }
      at += this.#keep(at, newline, epochMs);
      if (this.#isTooLong()) {
        if (!this.#putPart()) break;
      } else if (isWhole && at === newline) {
        if (!this.#putPending(true)) break;
        at = newline + 1;
      }
    }
    bytes[to] = behind;
    this.#finish();
    return at;
  }

  endLine(): void {
    this.#begin();
    // A carriage return without a newline adds one byte to the line.
    if (this.#hasLine && this.#pendingBytes > this.#maxLineBytes) this.#putPart();
    if (this.#hasLine) this.#putPending(false);
    else this.#isContinued = false;
    this.#finish();
  }

  /** The previous record already says that it is continued, but the next one must not be taken for a whole line. */
  continueLine(): void {
    this.#isContinued = true;
  }

  save(): FramerState {
    const line = this.#hasLine ? new Uint8Array(this.#pending.subarray(0, this.#pendingBytes)) : null;
    return { type: 'buffering', line, epochMs: this.#pendingEpochMs, isContinued: this.#isContinued };
  }

  restore(state: FramerState): void {
    if (state.type !== 'buffering') return;
    this.#isContinued = state.isContinued;
    if (!state.line) return;
    this.#pending = Buffer.from(state.line);
    this.#pendingBytes = state.line.length;
    this.#pendingEpochMs = state.epochMs;
    this.#hasLine = true;
  }

  notice(gap: Gap, epochMs: number): Buffer {
    const { format, id } = this.#options;
    return Buffer.from(format.notice(id, gap, epochMs));
  }

  /**
   * Converts lines that need nothing but backslashes, up to the first other line, or one line that may be an object;
   * returns the offset at which it stopped.
   */
  #frameWhole(from: number, to: number, epochMs: number): number {
    const { simd, bytes, output } = this.#memory;
    const body = this.#body;
    if (!simd || !body.isJsonString || this.#hasLine || output !== bytes) return from;
    this.#setHead(epochMs);
    const headBytes = this.#headEnd - HEAD_START;
    const mayBeObject = bytes[from] === OPEN_BRACE && !this.#isContinued;
    const end = mayBeObject ? Math.min(bytes.indexOf(LF, from) + 1, to) : to;
    const limit = mayBeObject ? OUTPUT_LIMIT - (end - from) - body.maxEndBytes : OUTPUT_LIMIT;
    const at = simd.frame(from, end, this.#out, limit, HEAD_START, headBytes, this.#maxLineBytes, 1);
    this.#out = simd.outEnd.value;
    if (at === from) return at;
    this.#isContinued = false;
    this.lines += simd.lines.value;
    if (mayBeObject) this.#out = body.addObject(bytes, this.#out, bytes, from, endOfText(bytes, from, at - 1));
    return at;
  }

  /** Buffers as much of [from, to) as is needed to see whether the line is too long; returns the number of bytes. */
  #keep(from: number, to: number, epochMs: number): number {
    if (!this.#hasLine) this.#pendingEpochMs = epochMs;
    this.#hasLine = true;
    // The byte after the limit may be a carriage return before a newline.
    const length = Math.min(to - from, this.#maxLineBytes + 2 - this.#pendingBytes);
    const needed = this.#pendingBytes + length;
    if (needed > this.#pending.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(PENDING_BYTES, needed, this.#pending.length * 2));
      grown.set(this.#pending.subarray(0, this.#pendingBytes));
      this.#pending = grown;
    }
    this.#pending.set(this.#memory.bytes.subarray(from, from + length), this.#pendingBytes);
    this.#pendingBytes = needed;
    return length;
  }

  #isTooLong(): boolean {
    const endsInCr = this.#pending[this.#pendingBytes - 1] === CR;
    return this.#pendingBytes - (endsInCr ? 1 : 0) > this.#maxLineBytes;
  }

  /** Writes the line, without the carriage return before its newline; false if there is no room. */
  #putPending(dropsCr: boolean): boolean {
    const endsInCr = this.#pendingBytes > 0 && this.#pending[this.#pendingBytes - 1] === CR;
    const end = this.#pendingBytes - (dropsCr && endsInCr ? 1 : 0);
    if (!this.#put(this.#pending, 0, end, this.#pendingEpochMs, false)) return false;
    this.#hasLine = false;
    this.#pendingBytes = 0;
    if (this.#pending.length > PENDING_BYTES) this.#pending = Buffer.allocUnsafeSlow(0);
    this.lines += 1;
    return true;
  }

  /** Writes the first part of a line that is too long and keeps the rest; false if there is no room. */
  #putPart(): boolean {
    const end = cutBefore(this.#pending, this.#maxLineBytes);
    if (!this.#put(this.#pending, 0, end, this.#pendingEpochMs, true)) return false;
    this.#pending.copyWithin(0, end, this.#pendingBytes);
    this.#pendingBytes -= end;
    return true;
  }

  #begin(): void {
    this.#out = OUTPUT_START;
    this.#memory.setOutput(OUTPUT_START);
  }

  /** If a record needed a separate buffer, that buffer is already the output. */
  #finish(): void {
    if (this.#memory.output === this.#memory.bytes) this.#memory.setOutput(this.#out);
  }

  /** Writes one record; false if there is no room after the current output. */
  #put(source: Buffer, from: number, to: number, epochMs: number, isPartial: boolean): boolean {
    const memory = this.#memory;
    if (memory.output !== memory.bytes) return false;
    const isContinued = this.#isContinued;
    const part = isContinued || isPartial ? { isContinued, isPartial } : WHOLE_LINE;
    const { maxGrowth, maxEndBytes } = this.#body;
    const boundBytes = MAX_HEAD_BYTES + (to - from) * maxGrowth + maxEndBytes;
    if (this.#out + boundBytes <= OUTPUT_END) {
      this.#out = this.#render(memory.bytes, this.#out, source, from, to, epochMs, part);
      this.#isContinued = isPartial;
      return true;
    }
    if (this.#out > OUTPUT_START) return false;
    const own = Buffer.allocUnsafeSlow(boundBytes);
    memory.setOwnOutput(own.subarray(0, this.#render(own, 0, source, from, to, epochMs, part)));
    this.#isContinued = isPartial;
    return true;
  }

  /** Writes a record to `target` at `start`; returns the end offset. */
  #render(
    target: Buffer,
    start: number,
    source: Buffer,
    from: number,
    to: number,
    epochMs: number,
    part: LinePart,
  ): number {
    this.#setHead(epochMs);
    const { bytes } = this.#memory;
    const at = start + this.#headEnd - HEAD_START;
    if (target === bytes) target.copyWithin(start, HEAD_START, this.#headEnd);
    else bytes.copy(target, start, HEAD_START, this.#headEnd);
    return this.#body.put(target, at, source, from, to, part);
  }

  #setHead(epochMs: number): void {
    const { memory, format, id } = this.#options;
    if (!memory.claimHead(this, epochMs)) return;
    this.#headEnd = HEAD_START + memory.bytes.write(format.head(id, epochMs, false), HEAD_START, 'latin1');
  }
}

/** End of the line that begins at `from`, without the carriage return before its newline. */
function endOfText(bytes: Buffer, from: number, newline: number): number {
  return newline > from && bytes[newline - 1] === CR ? newline - 1 : newline;
}

/** Largest length up to `limit` that does not split a UTF-8 character. */
function cutBefore(bytes: Buffer, limit: number): number {
  let cut = limit;
  while (cut > limit - 3 && cut > 1 && (bytes[cut]! & 0xc0) === 0x80) cut -= 1;
  return cut;
}
