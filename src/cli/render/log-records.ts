/**
 * Renders log records: turns chunks of a log into the bytes to print.
 *
 * Records are bytes of any encoding. Here they are strings with one character per byte (Node's `latin1`), so that no
 * byte is lost.
 */
import { formatOf, LOG_FORMATS } from '../../protocol/log-files/formats.ts';
import type { LevelName } from '../../protocol/log-files/record.ts';
import { LF, type LogRecord, type RecordFormat } from '../../protocol/log-files/record.ts';
import { TEXT_HEAD } from '../../protocol/log-files/text.ts';
import { type Colors, escapeForJson, escapeForTerminal } from './terminal-text.ts';

/** `text`: one line per record, for people. `json`: one object per line, for programs. */
export type OutputFormat = 'text' | 'json';

/**
 * Makes a printer. Files and pipes get records in the requested format byte for byte. On a terminal, text is coloured,
 * and of the control sequences in a record only colours survive.
 */
export function createRecordPrinter(format: OutputFormat, isTerminal: boolean, colors: Colors): RecordPrinter {
  const target = LOG_FORMATS[format];
  const convert = createConverter(target);
  if (!isTerminal) return new RecordPrinter(convert, format === 'text' ? target : null);
  if (format === 'json') return new RecordPrinter((record) => escapeForJson(convert(record)));
  return new RecordPrinter((record) => decorateRecord(escapeForTerminal(convert(record)), colors));
}

/** Fields of a line that is not a record. */
const NO_RECORD: Omit<LogRecord, 'text'> = {
  ...{ level: null, timeMs: null, service: null, stream: null },
  ...{ isContinued: false, isPartial: false },
};

/**
 * Makes a function that converts records of every format to `target`; records must be passed in order. A record already
 * in that format is returned unchanged; a line that is not a record becomes the text of one.
 */
export function createConverter(target: RecordFormat): (record: string) => string {
  /** Streams whose last record continues in their next one. */
  const partial = new Set<string>();
  const markContinued = (record: LogRecord): LogRecord => {
    if (partial.size === 0 && !record.isPartial) return record;
    const stream = `${record.service}.${record.stream}`;
    const isContinued = partial.delete(stream) || record.isContinued;
    if (record.isPartial) partial.add(stream);
    return { ...record, isContinued };
  };
  return (record) => {
    if (target.has(record)) return record;
    const parsed = formatOf(record)?.parse(record);
    return target.encode(parsed ? markContinued(parsed) : { ...NO_RECORD, text: record });
  };
}

const NOTHING = Buffer.alloc(0);

/** Takes chunks of any size and returns complete records, rendered. */
export class RecordPrinter {
  readonly #render: (record: string) => string;
  /** First bytes of records that need rendering; null if every record does. */
  readonly #starts: readonly string[] | null;
  /** Chunks of a record whose end has not arrived yet. */
  #rest: Buffer[] = [];
  /** True if the last chunk ended within a record that is passed through unparsed. */
  #isInPassed = false;

  /**
   * Creates a printer.
   *
   * @param render renders a record without its newline
   * @param passed format whose records `render` does not change: they are passed through unparsed
   */
  constructor(render: (record: string) => string, passed: RecordFormat | null = null) {
    this.#render = render;
    const others = Object.values(LOG_FORMATS).filter((format) => format !== passed);
    this.#starts = passed && others.flatMap(({ firstBytes }) => [...firstBytes]);
  }

  push(chunk: Buffer): Buffer {
    if (chunk.length === 0) return NOTHING;
    if (!this.#starts || this.#rest.length > 0) return this.#pushRecords(chunk);
    const start = this.#findStart(chunk, this.#starts);
    this.#isInPassed = start === -1 && chunk.at(-1) !== LF;
    if (start === -1) return chunk;
    const records = this.#pushRecords(chunk.subarray(start));
    return start === 0 ? records : Buffer.concat([chunk.subarray(0, start), records]);
  }

  /** Renders what is left when the stream has ended. */
  end(): Buffer {
    const rest = Buffer.concat(this.#rest);
    this.#rest = [];
    return rest.length === 0 ? rest : this.#renderAll(rest);
  }

  /** Index of the first record that needs rendering, or -1. */
  #findStart(chunk: Buffer, starts: readonly string[]): number {
    if (!this.#isInPassed && starts.includes(String.fromCharCode(chunk[0]!))) return 0;
    const found = starts.map((start) => chunk.indexOf(`\n${start}`) + 1).filter((at) => at > 0);
    return found.length === 0 ? -1 : Math.min(...found);
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

  #renderAll(records: Buffer): Buffer {
    const lines = records.toString('latin1').split('\n');
    // Empty if the chunk ends in a newline.
    const last = lines.pop()!;
    let output = lines.map((line) => `${this.#render(line)}\n`).join('');
    if (last !== '') output += this.#render(last);
    return Buffer.from(output, 'latin1');
  }
}

const NAME_COLORS = [
  'cyan',
  'magenta',
  'blue',
  'green',
  'yellow',
  'cyanBright',
  'magentaBright',
  'blueBright',
] as const;

/** Colours the head of a text record; returns any other line unchanged. */
export function decorateRecord(record: string, colors: Colors): string {
  return record.replace(
    TEXT_HEAD,
    (_head, time: string, level: LevelName, plus: string, service: string, mark = '') => {
      const paintLevel = { INFO: String, ERROR: colors.red, WARN: colors.yellow, DEBUG: colors.dim }[level];
      return `${colors.dim(time)} ${paintLevel(level)}${plus} ${paintName(service, mark, colors)} `;
    },
  );
}

/** Colours a name and its mark, with the same colour in every run. */
function paintName(name: string, mark: string, colors: Colors): string {
  let hash = 0;
  for (let index = 0; index < name.length; index++) hash = (hash * 31 + name.charCodeAt(index)) >>> 0;
  return colors[NAME_COLORS[hash % NAME_COLORS.length]!](`[${name}${mark}]`);
}
