/** The text format, see `framer.ts`. */
import type { FramerState } from '../../../src/protocol/logs.ts';
import {
  CONTINUED_START,
  CR,
  type FrameMemory,
  type Framer,
  type FramerOptions,
  type Gap,
  LF,
  OUTPUT_LIMIT,
  OUTPUT_START,
  PREFIX_START,
  TIME_BYTES,
  textLabel,
  textNotice,
} from './framer.ts';

/** Flags in place of a pending line: a line of any length costs no memory. */
export class TextFramer implements Framer {
  lines = 0;
  readonly #options: FramerOptions;
  readonly #memory: FrameMemory;
  readonly #maxLineBytes: number;
  readonly #label: Buffer;
  readonly #continuedLabel: Buffer;
  #isAtStart = true;
  /** The next record continues the one before it. */
  #isContinued = false;
  /** Bytes of the line in the record that has begun. */
  #partBytes = 0;
  /** The last byte was a carriage return, which is withheld: a newline may follow. */
  #heldCr = false;
  /** Where the last call stopped. */
  #at = 0;

  constructor(options: FramerOptions) {
    this.#options = options;
    this.#memory = options.memory;
    this.#maxLineBytes = options.maxLineBytes;
    this.#label = Buffer.from(textLabel(options.id, false), 'latin1');
    this.#continuedLabel = Buffer.from(textLabel(options.id, true), 'latin1');
  }

  frame(from: number, to: number, epochMs: number): number {
    const { bytes } = this.#memory;
    this.#setPrefixes(epochMs);
    let out = OUTPUT_START;
    if (this.#heldCr && from < to) {
      if (bytes[from] !== LF) out = this.#putCr(out);
      this.#heldCr = false;
    }
    out = this.#frameLines(from, to, out);
    this.#memory.setOutput(out);
    return this.#at;
  }

  endLine(epochMs: number): void {
    this.#setPrefixes(epochMs);
    let out = OUTPUT_START;
    if (this.#heldCr) out = this.#putCr(out);
    this.#heldCr = false;
    if (!this.#isAtStart) {
      out = this.#endRecord(out);
      this.lines += 1;
    }
    this.#isContinued = false;
    this.#memory.setOutput(out);
  }

  continueLine(): void {
    this.#isAtStart = true;
    this.#partBytes = 0;
    this.#isContinued = true;
  }

  save(): FramerState {
    const [isAtStart, isContinued, partBytes] = [this.#isAtStart, this.#isContinued, this.#partBytes];
    return { type: 'text', isAtStart, isContinued, partBytes, heldCr: this.#heldCr };
  }

  restore(state: FramerState): void {
    if (state.type !== 'text') return;
    this.#isAtStart = state.isAtStart;
    this.#isContinued = state.isContinued;
    this.#partBytes = state.partBytes;
    this.#heldCr = state.heldCr;
  }

  notice(gap: Gap, epochMs: number): Buffer {
    return textNotice(this.#options.id, gap, epochMs);
  }

  /** The hot loop: what it needs is in local variables, which is twice as fast as fields. Returns where the output ends. */
  #frameLines(from: number, to: number, start: number): number {
    const { bytes, simd } = this.#memory;
    const prefixBytes = TIME_BYTES + this.#label.length;
    const prefixEnd = PREFIX_START + prefixBytes;
    const continuedEnd = CONTINUED_START + TIME_BYTES + this.#continuedLabel.length;
    const maxLineBytes = this.#maxLineBytes;
    let isAtStart = this.#isAtStart;
    let isContinued = this.#isContinued;
    let partBytes = this.#partBytes;
    let lines = this.lines;
    let at = from;
    let out = start;
    // indexOf has no end of its own: this newline stops it.
    const behind = bytes[to]!;
    bytes[to] = LF;
    while (at < to && out + (to - at) <= OUTPUT_LIMIT) {
      if (simd && isAtStart && !isContinued) {
        at = simd.frame(at, to, out, OUTPUT_LIMIT, PREFIX_START, prefixBytes, maxLineBytes, 0);
        out = simd.outEnd.value;
        lines += simd.lines.value;
        if (at === to || out + (to - at) > OUTPUT_LIMIT) break;
      }
      const newline = bytes.indexOf(LF, at);
      const isWhole = newline < to;
      let end = newline;
      const endsInCr = end > at && bytes[end - 1] === CR;
      if (endsInCr) end -= 1;
      if (isAtStart && (isWhole || end > at)) {
        const prefixStart = isContinued ? CONTINUED_START : PREFIX_START;
        const ownEnd = isContinued ? continuedEnd : prefixEnd;
        bytes.copyWithin(out, prefixStart, ownEnd);
        out += ownEnd - prefixStart;
        isAtStart = false;
        isContinued = false;
      }
      const roomBytes = maxLineBytes - partBytes;
      const isTooLong = end - at > roomBytes;
      if (isTooLong) end = at + roomBytes;
      bytes.copyWithin(out, at, end);
      out += end - at;
      if (isWhole || isTooLong) {
        bytes[out] = LF;
        out += 1;
        isAtStart = true;
        partBytes = 0;
        isContinued = isTooLong;
        if (!isTooLong) lines += 1;
        at = isTooLong ? end : newline + 1;
      } else {
        partBytes += end - at;
        this.#heldCr = endsInCr;
        at = to;
      }
    }
    bytes[to] = behind;
    this.#isAtStart = isAtStart;
    this.#isContinued = isContinued;
    this.#partBytes = partBytes;
    this.lines = lines;
    this.#at = at;
    return out;
  }

  #setPrefixes(epochMs: number): void {
    const memory = this.#memory;
    if (!memory.takePrefix(this, epochMs)) return;
    const { bytes } = memory;
    const time = memory.isoTime(epochMs);
    bytes.write(time, PREFIX_START, 'latin1');
    bytes.set(this.#label, PREFIX_START + TIME_BYTES);
    bytes.write(time, CONTINUED_START, 'latin1');
    bytes.set(this.#continuedLabel, CONTINUED_START + TIME_BYTES);
  }

  /** Begins a record. */
  #putPrefix(at: number): number {
    const start = this.#isContinued ? CONTINUED_START : PREFIX_START;
    const length = TIME_BYTES + (this.#isContinued ? this.#continuedLabel : this.#label).length;
    this.#memory.bytes.copyWithin(at, start, start + length);
    this.#isAtStart = false;
    this.#isContinued = false;
    return at + length;
  }

  #endRecord(at: number): number {
    this.#memory.bytes[at] = LF;
    this.#isAtStart = true;
    this.#partBytes = 0;
    return at + 1;
  }

  /** Writes the withheld carriage return, which turned out to be one of the line. */
  #putCr(at: number): number {
    let out = at;
    if (!this.#isAtStart && this.#partBytes === this.#maxLineBytes) {
      out = this.#endRecord(out);
      this.#isContinued = true;
    }
    if (this.#isAtStart) out = this.#putPrefix(out);
    this.#memory.bytes[out] = CR;
    this.#partBytes += 1;
    return out + 1;
  }
}
