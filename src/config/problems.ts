/** What is wrong in a config, as the reader of the file sees it: file, line, column. */

import stringWidth from 'string-width';
import { maskControls } from '../lib/control-characters.ts';
import { MonocoreError } from '../lib/errors.ts';

/** One fault of a config file. Plain JSON: the `details` of a `ConfigInvalid` error are an array of these. */
export interface Problem {
  /** The file as the caller named it. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 code units. */
  readonly column: number;
  /** What of the line is meant, in UTF-16 code units from the column on; at least 1. */
  readonly length: number;
  /** `service[1].port`; empty for the document as a whole. */
  readonly path: string;
  /** What is wrong, without a full stop. */
  readonly message: string;
  /** What would be right, or null where the message says it already. */
  readonly expected: string | null;
  /** The offending line as it stands in the file; empty where the file could not be read. */
  readonly source: string;
}

/** Longest piece of a line that is shown, and what of it may stand before the fault. */
const MAX_SOURCE_CHARS = 120;
const MAX_CHARS_BEFORE = 60;
/** What a tab is shown as: how wide one is depends on where it stands, and on the terminal. */
const TAB = '    ';

/**
 * `file:line:column: path: message (expected …)`, then the source line and carets below what is meant. A problem without
 * a source line is the first line alone, and of a long line only the part around the fault is shown. Control characters
 * are shown as `�`, so that a config cannot drive the terminal, and tabs as blanks, so that the carets stand where they
 * should; so they do below characters that take two columns, or none.
 */
export function formatProblem(problem: Problem): string {
  const { file, line, column, length, path, message, expected } = problem;
  const where = path === '' ? `${file}:${line}:${column}` : `${file}:${line}:${column}: ${path}`;
  const headline = maskControls(`${where}: ${message}${expected === null ? '' : ` (expected ${expected})`}`);
  if (problem.source === '') return headline;
  const { before, meant, after } = excerpt(problem.source, column - 1, length);
  const carets = '^'.repeat(Math.max(1, stringWidth(meant)));
  return `${headline}\n${before}${meant}${after}\n${' '.repeat(stringWidth(before))}${carets}`;
}

/** The part of a line around what is meant, as it is shown. */
function excerpt(source: string, index: number, length: number): { before: string; meant: string; after: string } {
  const isLong = source.length > MAX_SOURCE_CHARS;
  const start = isLong ? wholeCharacter(source, Math.max(0, index - MAX_CHARS_BEFORE)) : 0;
  const end = isLong ? wholeCharacter(source, start + MAX_SOURCE_CHARS) : source.length;
  const until = wholeCharacter(source, Math.min(index + length, end));
  const show = (from: number, to: number) => maskControls(source.slice(from, to)).replaceAll('\t', TAB);
  return {
    before: `${start > 0 ? '…' : ''}${show(start, index)}`,
    meant: show(index, until),
    after: `${show(until, end)}${end < source.length ? '…' : ''}`,
  };
}

/** The index, or the next one where that would cut a character of two code units. */
function wholeCharacter(source: string, index: number): number {
  const isCut = index > 0 && index < source.length && (source.codePointAt(index - 1) ?? 0) > 0xffff;
  return isCut ? index + 1 : index;
}

/** The error for a config that was read but does not fit; `problems` is in order of position and not empty. */
export function configInvalid(file: string, problems: readonly Problem[]): MonocoreError {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  return new MonocoreError('ConfigInvalid', `${file} has ${count}; nothing was started`, { details: problems });
}
