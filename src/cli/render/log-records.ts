/** From chunks of records to what is printed of them. */
import { LF } from '../../protocol/log-record.ts';

const BRACE = 0x7b;
const JSON_START = Buffer.from('\n{');
const NOTHING = Buffer.alloc(0);

/**
 * Renders one record, without its newline. Records are bytes of any encoding, so here they are "binary strings" with one
 * character per byte (Node's `latin1`), and nothing of them is lost.
 */
export type RecordRenderer = (record: string) => string;

/** Takes chunks of any size and gives back whole records, rendered. */
export class RecordPrinter {
  readonly #render: RecordRenderer;
  readonly #keepsText: boolean;
  /** The chunks of a record whose end has not come. */
  #rest: Buffer[] = [];
  /** The start of a record in text format has been passed on. */
  #isInText = false;

  /** @param keepsText records in text format are rendered as they are: they are passed on unseen */
  constructor(render: RecordRenderer, { keepsText = false }: { readonly keepsText?: boolean } = {}) {
    this.#render = render;
    this.#keepsText = keepsText;
  }

  push(chunk: Buffer): Buffer {
    if (chunk.length === 0) return NOTHING;
    if (!this.#keepsText || this.#rest.length > 0) return this.#pushRecords(chunk);
    const jsonStart = this.#findJson(chunk);
    this.#isInText = jsonStart === -1 && chunk.at(-1) !== LF;
    if (jsonStart === -1) return chunk;
    const records = this.#pushRecords(chunk.subarray(jsonStart));
    return jsonStart === 0 ? records : Buffer.concat([chunk.subarray(0, jsonStart), records]);
  }

  /** What is left when the stream has ended. */
  end(): Buffer {
    const rest = Buffer.concat(this.#rest);
    this.#rest = [];
    return rest.length === 0 ? rest : this.#renderAll(rest);
  }

  /** Where the first record starts that may be JSON, or -1. */
  #findJson(chunk: Buffer): number {
    if (chunk[0] === BRACE && !this.#isInText) return 0;
    const newline = chunk.indexOf(JSON_START);
    return newline === -1 ? -1 : newline + 1;
  }

  #pushRecords(chunk: Buffer): Buffer {
    const end = chunk.lastIndexOf(LF) + 1;
    if (end === 0) {
      this.#rest.push(chunk);
      return NOTHING;
    }
    const whole = Buffer.concat([...this.#rest, chunk.subarray(0, end)]);
    this.#rest = end < chunk.length ? [chunk.subarray(end)] : [];
    return this.#renderAll(whole);
  }

  /** A newline after the last record is no record. */
  #renderAll(records: Buffer): Buffer {
    const lines = records.toString('latin1').split('\n');
    const last = lines.pop()!;
    let output = lines.map((line) => `${this.#render(line)}\n`).join('');
    if (last !== '') output += this.#render(last);
    return Buffer.from(output, 'latin1');
  }
}
