/** The kinds of values that a parsed document consists of. */

/** A table of TOML, a mapping of YAML, an object of JSON: without prototype, so that no key is special. */
export type Table = Readonly<Record<string, unknown>>;

/** True for a table; arrays and dates, objects too, are none. */
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
