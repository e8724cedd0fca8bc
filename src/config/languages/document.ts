/** Parsed documents: values, their positions in the text, and wording for both in messages. */

/**
 * Maximum nesting of arrays and tables. A config needs three levels; the limit keeps recursion from overflowing the
 * stack.
 */
export const MAX_DEPTH = 64;

export interface Document {
  /** Its tables have no prototype. */
  readonly table: Table;
  /** Called only when there is a problem to report. */
  readonly findPositions: () => Positions;
}

/** Error of a parser at the first text that is not valid in its language. */
export class ConfigSyntaxError extends Error {
  readonly span: Span;

  constructor(span: Span, message: string) {
    super(message);
    this.span = span;
  }
}

/** Table of TOML, mapping of YAML or object of JSON, without a prototype, so that no key is special. */
export type Table = Readonly<Record<string, unknown>>;

/** True for a table; false for arrays and dates, although they are objects. */
export function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null;
}

/** Kind of a value with its article, for messages: `a string`. */
export function kindOf(value: unknown): string {
  if (value === null || Number.isNaN(value)) return String(value);
  if (Array.isArray(value)) return 'an array';
  if (isTable(value)) return 'a table';
  if (value instanceof Date) return 'a date';
  if (typeof value === 'bigint') return 'a number this large';
  return `a ${typeof value}`;
}

/** Longest excerpt of the file that a message quotes; the source line below shows the rest. */
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

/** Offsets in UTF-16 code units; the end is exclusive. */
export type Span = readonly [start: number, end: number];

interface Position {
  readonly key: Span;
  readonly value: Span;
}

/** Longest path with a position. A problem's path has at most six parts (`group[0].env[0].envs[0]`). */
const MAX_PATH_PARTS = 8;

/** Positions by path. The first one wins: `service` in TOML is at the first `[[service]]`. */
export class Positions {
  readonly #positions = new Map<string, Position>();

  /** Ignores paths that are longer than any problem needs. */
  add(path: Path, key: Span, value: Span): void {
    if (path.length > MAX_PATH_PARTS) return;
    const id = JSON.stringify(path);
    if (!this.#positions.has(id)) this.#positions.set(id, { key, value });
  }

  /** Span of a path; for a path that is not in the text, the value of the innermost one around it. */
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

  /** Text of a line, counted from 1, without its line ending; empty if there is no such line. */
  source(line: number): string {
    const start = this.#starts[line - 1];
    return start === undefined ? '' : this.#text.slice(start, this.#starts[line] ?? undefined).replace(/\r?\n$/, '');
  }

  /** Line and column of an offset, both counted from 1; the column is at most one past the line's last character. */
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
