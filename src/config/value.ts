/** The kinds of values that a parsed TOML document consists of. */

/** A TOML table as smol-toml gives it: without prototype, so that no key is special. */
export type Table = Readonly<Record<string, unknown>>;

/** True for a table; arrays and dates, objects too, are none. */
export function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null;
}

/** A value's kind with its article, for messages: `a string`. */
export function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (isTable(value)) return 'a table';
  if (value instanceof Date) return 'a date';
  if (typeof value === 'bigint') return 'a number this large';
  return `a ${typeof value}`;
}
