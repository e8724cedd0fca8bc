/** Parsed documents: their values, the positions of these in the text, and words for both in messages. */

/** Deepest nesting of arrays and tables. A config needs three; the limit keeps recursion off the stack's end. */
export const MAX_DEPTH = 64;

export interface Document {
  /** Tables in it have no prototype. */
  readonly table: Table;
  /** Called only when there is a problem to report. */
  readonly findPositions: () => Positions;
}

/** Thrown by a parser at the first text that is not valid in its language. */
export class ConfigSyntaxError extends Error {
  readonly span: Span;

  constructor(span: Span, message: string) {
    super(message);
    this.span = span;
  }
}

/** A table of TOML, a mapping of YAML, an object of JSON: without prototype, so that no key is special. */
export type Table = Readonly<Record<string, unknown>>;

/** True for a table; false for arrays and dates, although they are objects. */
export function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null;
}

/** A value's kind with its article, for messages: `a string`. */
export function kindOf(value: unknown): string {
  if (value === null || Number.isNaN(value)) return String(value);
  if (Array.isArray(value)) return 'an array';
  if (isTable(value)) return 'a table';
  if (value instanceof Date) return 'a date';
  if (typeof value === 'bigint') return 'a number this large';
  return `a ${typeof value}`;
}

/** Longest piece of the file that a message repeats; the source line below it shows the rest. */
const MAX_QUOTED_CHARS = 60;

/** Text of the file in double quotes, cut to a readable length, with every control character escaped. */
export function quote(text: string): string {
  const cut = text.length > MAX_QUOTED_CHARS ? `${text.slice(0, MAX_QUOTED_CHARS)}…` : text;
  return JSON.stringify(cut).replace(
    /\p{Cc}/gu,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Keys and indexes (from 0) that lead from the document to a value: `['service', 1, 'port']`. */
export type Path = readonly (string | number)[];

/** Offsets in UTF-16 code units, the second behind the last one. */
export type Span = readonly [start: number, end: number];

interface Position {
  readonly key: Span;
  readonly value: Span;
}

/** Longest path with a position. A problem's path has at most six parts (`group[0].env[0].envs[0]`). */
const MAX_PATH_PARTS = 8;

/** Positions by path. The first one wins: `service` of TOML is where the first `[[service]]` stands. */
export class Positions {
  readonly #positions = new Map<string, Position>();

  /** Paths that are too long for any problem are dropped. */
  add(path: Path, key: Span, value: Span): void {
    if (path.length > MAX_PATH_PARTS) return;
    const id = JSON.stringify(path);
    if (!this.#positions.has(id)) this.#positions.set(id, { key, value });
  }

  /** The place of a path; of a path that the text does not have, the value of the innermost one around it. */
  find(path: Path, at: 'key' | 'value'): Span | null {
    const exact = this.#positions.get(JSON.stringify(path));
    if (exact !== undefined) return exact[at];
    for (let length = path.length - 1; length > 0; length -= 1) {
      const around = this.#positions.get(JSON.stringify(path.slice(0, length)));
      if (around !== undefined) return around.value;
    }
    return null;
  }
}

/** Lines of a text, ended by LF or CRLF. */
export class Lines {
  readonly #text: string;
  readonly #starts: number[] = [0];

  constructor(text: string) {
    this.#text = text;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', end + 1)) this.#starts.push(end + 1);
  }

  get count(): number {
    return this.#starts.length;
  }

  /** The text of a line without its end, counted from 1; empty where there is none. */
  source(line: number): string {
    const start = this.#starts[line - 1];
    return start === undefined ? '' : this.#text.slice(start, this.#starts[line] ?? undefined).replace(/\r?\n$/, '');
  }

  /** Line and column of an offset, both from 1; the column is at most one behind the line's last character. */
  position(offset: number): { line: number; column: number } {
    let low = 0;
    let high = this.#starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#starts[middle]! <= offset) low = middle;
      else high = middle;
    }
    const column = Math.min(offset - this.#starts[low]!, this.source(low + 1).length);
    return { line: low + 1, column: column + 1 };
  }

  offset(line: number, column: number): number {
    return (this.#starts[line - 1] ?? this.#text.length) + column - 1;
  }
}
