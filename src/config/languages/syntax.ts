/** Types that the parsers of the languages share. */
import type { Positions, Span } from './positions.ts';

/** Deepest nesting of arrays and tables. A config needs three; the limit keeps recursion off the stack's end. */
export const MAX_DEPTH = 64;

/** A parsed text, whatever its language. */
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
