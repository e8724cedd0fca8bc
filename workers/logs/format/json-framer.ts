/** The JSON format, see `framer.ts`. */
import { isUtf8 } from 'node:buffer';
import type { FramerState } from '../../../src/protocol/logs.ts';
import {
  CR,
  type FrameMemory,
  type Framer,
  type FramerOptions,
  type Gap,
  JSON_PARTIAL_END,
  jsonNotice,
  jsonPrefix,
  LF,
  OUTPUT_END,
  OUTPUT_LIMIT,
  OUTPUT_START,
  PREFIX_BYTES,
  PREFIX_START,
} from './framer.ts';
import { HAS_ESCAPES, HAS_NON_ASCII, kindsOf, MAX_GROWTH, putEscaped } from './json-string.ts';

/** Longest end of a record, without `raw`. */
const SUFFIX_BYTES = 64;
const PENDING_BYTES = 1024;
const QUOTE = 0x22;
const END = Buffer.from('}\n');
const PARTIAL_END = Buffer.from(`,${JSON_PARTIAL_END}`);

/** A line is rendered when it is whole: what there is of it so far is kept, at most `maxLineBytes` and two. */
export class JsonFramer implements Framer {
  lines = 0;
  readonly #options: FramerOptions;
  readonly #memory: FrameMemory;
  readonly #maxLineBytes: number;
  /** The start of a line whose end has not come. */
  #pending: Buffer = Buffer.allocUnsafeSlow(0);
  #pendingBytes = 0;
  #pendingEpochMs = 0;
  #hasLine = false;
  #out = OUTPUT_START;
  #prefixEnd = PREFIX_START;

  constructor(options: FramerOptions) {
    this.#options = options;
    this.#memory = options.memory;
    this.#maxLineBytes = options.maxLineBytes;
  }

  frame(from: number, to: number, epochMs: number): number {
    const { bytes } = this.#memory;
    this.#begin();
    const behind = bytes[to]!;
    bytes[to] = LF;
    let at = from;
    while (at < to) {
      at = this.#frameWhole(at, to, epochMs);
      if (at === to) break;
      const newline = bytes.indexOf(LF, at);
      const isWhole = newline < to;
      if (isWhole && !this.#hasLine && newline - at <= this.#maxLineBytes) {
        const end = newline > at && bytes[newline - 1] === CR ? newline - 1 : newline;
        if (!this.#put(bytes, at, end, epochMs, false)) break;
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
    // A carriage return that no newline follows is one byte of the line more.
    if (this.#hasLine && this.#pendingBytes > this.#maxLineBytes) this.#putPart();
    if (this.#hasLine) this.#putPending(false);
    this.#finish();
  }

  /** Nothing to do: the record before says that it is continued. */
  continueLine(): void {}

  save(): FramerState {
    const line = this.#hasLine ? new Uint8Array(this.#pending.subarray(0, this.#pendingBytes)) : null;
    return { type: 'json', line, epochMs: this.#pendingEpochMs };
  }

  restore(state: FramerState): void {
    if (state.type !== 'json' || !state.line) return;
    this.#pending = Buffer.from(state.line);
    this.#pendingBytes = state.line.length;
    this.#pendingEpochMs = state.epochMs;
    this.#hasLine = true;
  }

  notice(gap: Gap, epochMs: number): Buffer {
    return jsonNotice(this.#options.id, gap, epochMs);
  }

  /** Frames lines that need no more than backslashes, as far as there are such; returns where it stopped. */
  #frameWhole(from: number, to: number, epochMs: number): number {
    const { simd, bytes, output } = this.#memory;
    if (!simd || this.#hasLine || output !== bytes) return from;
    this.#setPrefix(epochMs);
    const prefixBytes = this.#prefixEnd - PREFIX_START;
    const at = simd.frame(from, to, this.#out, OUTPUT_LIMIT, PREFIX_START, prefixBytes, this.#maxLineBytes, 1);
    this.#out = simd.outEnd.value;
    this.lines += simd.lines.value;
    return at;
  }

  /** Takes as much of [from, to) as is needed to know whether the line is too long; returns how much. */
  #keep(from: number, to: number, epochMs: number): number {
    if (!this.#hasLine) this.#pendingEpochMs = epochMs;
    this.#hasLine = true;
    // One byte more than the limit may be a carriage return before a newline.
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

  /** Puts out the line, without the carriage return before its newline; false when there is no room. */
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

  /** Puts out a part of a line that is too long, and keeps the rest; false when there is no room. */
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

  /** One that needed room of its own is the output already. */
  #finish(): void {
    if (this.#memory.output === this.#memory.bytes) this.#memory.setOutput(this.#out);
  }

  /** Puts out one record; false when there is no room beside what was put out before. */
  #put(source: Buffer, from: number, to: number, epochMs: number, isPartial: boolean): boolean {
    const memory = this.#memory;
    if (memory.output !== memory.bytes) return false;
    const boundBytes = PREFIX_BYTES + (to - from) * (MAX_GROWTH + 2) + SUFFIX_BYTES;
    if (this.#out + boundBytes <= OUTPUT_END) {
      this.#out = this.#render(memory.bytes, this.#out, source, from, to, epochMs, isPartial);
      return true;
    }
    if (this.#out > OUTPUT_START) return false;
    const own = Buffer.allocUnsafeSlow(boundBytes);
    memory.setOwnOutput(own.subarray(0, this.#render(own, 0, source, from, to, epochMs, isPartial)));
    return true;
  }

  #render(
    target: Buffer,
    start: number,
    source: Buffer,
    from: number,
    to: number,
    epochMs: number,
    isPartial: boolean,
  ): number {
    let out = this.#putPrefix(target, start, epochMs);
    const kinds = kindsOf(source, from, to);
    const isText = (kinds & HAS_NON_ASCII) === 0 || isUtf8(source.subarray(from, to));
    if (!isText) {
      const text = JSON.stringify(source.toString('utf8', from, to)).slice(1);
      out += target.write(`${text},"invalid_utf8":true,"raw":"${source.toString('base64', from, to)}"`, out);
    } else {
      if ((kinds & HAS_ESCAPES) !== 0) out = putEscaped(target, out, source, from, to);
      else out = copy(source, from, to, target, out);
      target[out] = QUOTE;
      out += 1;
    }
    const end = isPartial ? PARTIAL_END : END;
    target.set(end, out);
    return out + end.length;
  }

  #putPrefix(target: Buffer, at: number, epochMs: number): number {
    this.#setPrefix(epochMs);
    return copy(this.#memory.bytes, PREFIX_START, this.#prefixEnd, target, at);
  }

  #setPrefix(epochMs: number): void {
    const { bytes } = this.#memory;
    if (!this.#memory.takePrefix(this, epochMs)) return;
    this.#prefixEnd = PREFIX_START + bytes.write(jsonPrefix(this.#options.id, epochMs), PREFIX_START, 'latin1');
  }
}

/** Copies [from, to) to `at`; returns where it ends. */
function copy(source: Buffer, from: number, to: number, target: Buffer, at: number): number {
  if (source === target) target.copyWithin(at, from, to);
  else source.copy(target, at, from, to);
  return at + (to - from);
}

/** At most `limit`; less where that would cut a character of UTF-8 in two. */
function cutBefore(bytes: Buffer, limit: number): number {
  let cut = limit;
  while (cut > limit - 3 && cut > 1 && (bytes[cut]! & 0xc0) === 0x80) cut -= 1;
  return cut;
}
