/** Colours a stream of log records for a terminal. */
import { decorateRecord } from './render/log-record.ts';
import type { Colors } from './terminal.ts';

const NEWLINE = 10;

/** Takes chunks of any size and gives back whole records, coloured; their bytes are kept. */
export class RecordDecorator {
  readonly #colors: Colors;
  /** The chunks of a record whose end has not come. */
  #rest: Buffer[] = [];

  constructor(colors: Colors) {
    this.#colors = colors;
  }

  push(chunk: Buffer): Buffer {
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end === 0) {
      this.#rest.push(chunk);
      return Buffer.alloc(0);
    }
    const whole = Buffer.concat([...this.#rest, chunk.subarray(0, end)]);
    this.#rest = end < chunk.length ? [chunk.subarray(end)] : [];
    return this.#decorate(whole);
  }

  /** What is left when the stream has ended. */
  end(): Buffer {
    const whole = Buffer.concat(this.#rest);
    this.#rest = [];
    return this.#decorate(whole);
  }

  #decorate(records: Buffer): Buffer {
    const lines = records.toString('latin1').split('\n');
    return Buffer.from(lines.map((line) => decorateRecord(line, this.#colors)).join('\n'), 'latin1');
  }
}
