/** What is wrong in a config, before anybody has looked up where that stands in the file. */

/** Keys and indexes (from 0) that lead from the document to a value: `['service', 1, 'port']`. */
export type Path = readonly (string | number)[];

/** One fault; `locate.ts` makes a {@link Problem} of it. */
export interface Fault {
  readonly path: Path;
  /** Whether the caret belongs below the key (a key that must not be there) or below the value. */
  readonly at: 'key' | 'value';
  /** See {@link Problem.message}. */
  readonly message: string;
  /** See {@link Problem.expected}. */
  readonly expected: string | null;
}

/** A fault of a value. */
export function valueFault(path: Path, message: string, expected: string | null = null): Fault {
  return { path, at: 'value', message, expected };
}

/** A fault of a key. */
export function keyFault(path: Path, message: string, expected: string | null = null): Fault {
  return { path, at: 'key', message, expected };
}

/** `service[1].envs."odd key"`: a path as TOML would write it, with indexes from 0. */
export function formatPath(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += `${text === '' ? '' : '.'}${/^[\w-]+$/.test(part) ? part : quote(part)}`;
  }
  return text;
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
