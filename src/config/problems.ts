/** Problems of a config: found at a path of keys, located in the file, and printed with file, line and column. */
import stringWidth from 'string-width';
import { maskControls } from '../lib/control-characters.ts';
import { MonocoreError } from '../lib/errors.ts';
import { Lines, type Path, type Positions, quote, type Span } from './languages/document.ts';

/** Problem of a config file. Plain JSON: the `details` of a `ConfigInvalid` error are an array of these. */
export interface ConfigProblem {
  /** The file as the caller named it. */
  readonly file: string;
  readonly line: number;
  /** From 1, in UTF-16 code units. */
  readonly column: number;
  /** Length of the offending text from that column on, in UTF-16 code units; at least 1. */
  readonly length: number;
  /** `service[1].port`; empty for the document as a whole. */
  readonly path: string;
  /** Without a full stop. */
  readonly message: string;
  /** Description of a valid value; null if the message already gives one. */
  readonly expected: string | null;
  /** The offending line as it is in the file; empty if the file could not be read. */
  readonly source: string;
}

/** Problem at a path of keys, not yet located in the file: {@link locate} turns it into a {@link ConfigProblem}. */
export interface PathProblem extends Pick<ConfigProblem, 'message' | 'expected'> {
  readonly path: Path;
  /** Part to underline: the key if it must not be there, otherwise the value. */
  readonly at: 'key' | 'value';
}

export function valueProblem(path: Path, message: string, expected: string | null = null): PathProblem {
  return { path, at: 'value', message, expected };
}

export function keyProblem(path: Path, message: string, expected: string | null = null): PathProblem {
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

/** Problems in order of position. A missing key is reported at the innermost table around it that the file has. */
export function locate(
  file: string,
  text: string,
  positions: Positions,
  problems: readonly PathProblem[],
): ConfigProblem[] {
  const lines = new Lines(text);
  return problems
    .map(({ path, at, message, expected }) =>
      toConfigProblem(file, lines, positions.find(path, at) ?? [0, 0], formatPath(path), message, expected),
    )
    .sort((a, b) => a.line - b.line || a.column - b.column);
}

/** Problem at a span; for a span over several lines, only the part on the first line is underlined. */
export function toConfigProblem(
  file: string,
  lines: Lines,
  [start, end]: Span,
  path: string,
  message: string,
  expected: string | null,
): ConfigProblem {
  const { line, column } = lines.position(start);
  const source = lines.source(line);
  const length = Math.max(1, Math.min(end - start, source.length - column + 1));
  return { file, line, column, length, path, message, expected, source };
}

/** Width of a source line where that of the output is unknown. */
const DEFAULT_COLUMNS = 122;
const TAB = '    ';

/**
 * `file:line:column: path: message (expected …)`, then an excerpt of the source line with carets below the offending
 * part. Control characters are shown as `�`, so that a config cannot control the terminal, and tabs as blanks. Wide and
 * zero-width characters are taken into account, so that the carets line up.
 *
 * @param columns maximum width of the excerpt; the first line may be longer
 */
export function formatProblem(problem: ConfigProblem, columns = DEFAULT_COLUMNS): string {
  const { file, line, column, length, path, message, expected } = problem;
  const where = path === '' ? `${file}:${line}:${column}` : `${file}:${line}:${column}: ${path}`;
  const headline = maskControls(`${where}: ${message}${expected === null ? '' : ` (expected ${expected})`}`);
  if (problem.source === '') return headline;
  const { before, meant, after } = excerpt(problem.source, column - 1, length, columns);
  const carets = '^'.repeat(Math.max(1, stringWidth(meant)));
  return `${headline}\n${before}${meant}${after}\n${' '.repeat(stringWidth(before))}${carets}`;
}

/** Excerpt of a line around the offending text, as displayed. */
function excerpt(source: string, index: number, length: number, columns: number) {
  const show = (from: number, to?: number) => maskControls(source.slice(from, to)).replaceAll('\t', TAB);
  const [before, meant, after] = [show(0, index), show(index, index + length), show(index + length)];
  const line = before + meant + after;
  // Leaves room for an ellipsis at each end.
  const room = columns - 2;
  const isLong = line.length > room;
  const start = isLong ? wholeCharacter(line, Math.max(0, before.length - Math.floor(room / 2))) : 0;
  const end = isLong ? wholeCharacter(line, start + room) : line.length;
  const until = wholeCharacter(line, Math.min(before.length + meant.length, end));
  return {
    before: `${start > 0 ? '…' : ''}${line.slice(start, before.length)}`,
    meant: line.slice(before.length, until),
    after: `${line.slice(until, end)}${end < line.length ? '…' : ''}`,
  };
}

/** The index, or the next one if that would split a surrogate pair. */
function wholeCharacter(source: string, index: number): number {
  const isCut = index > 0 && index < source.length && (source.codePointAt(index - 1) ?? 0) > 0xffff;
  return isCut ? index + 1 : index;
}

/** The error for a config that was read but is not valid; `problems` is in order of position and not empty. */
export function configInvalid(file: string, problems: readonly ConfigProblem[]): MonocoreError {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  return new MonocoreError('ConfigInvalid', `${file} has ${count}`, { details: problems });
}
