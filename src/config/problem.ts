/** What is wrong in a config, as the reader of the file sees it: file, line, column. */

import { maskControls } from '../control-characters.ts';
import { MonocoreError } from '../errors.ts';

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

/**
 * `file:line:column: path: message (expected …)`, then the source line and carets below what is meant. A problem without
 * a source line is the first line alone, and of a long line only the part around the fault is shown. Control characters
 * are shown as `�`, so that a config cannot drive the terminal; tabs stay, and the carets are indented by the same tabs.
 */
export function formatProblem(problem: Problem): string {
  const { file, line, column, path, message, expected } = problem;
  const where = path === '' ? `${file}:${line}:${column}` : `${file}:${line}:${column}: ${path}`;
  const headline = maskControls(`${where}: ${message}${expected === null ? '' : ` (expected ${expected})`}`);
  if (problem.source === '') return headline;
  const { text, at } = excerpt(maskControls(problem.source), column - 1);
  const indent = text.slice(0, at).replace(/[^\t]/g, ' ');
  const carets = '^'.repeat(Math.max(1, Math.min(problem.length, text.length - at)));
  return `${headline}\n${text}\n${indent}${carets}`;
}

/** The part of a line around an index, and the index in it. */
function excerpt(source: string, index: number): { text: string; at: number } {
  if (source.length <= MAX_SOURCE_CHARS) return { text: source, at: index };
  const start = Math.max(0, index - MAX_CHARS_BEFORE);
  const end = start + MAX_SOURCE_CHARS;
  const before = start > 0 ? '…' : '';
  const text = `${before}${source.slice(start, end)}${end < source.length ? '…' : ''}`;
  return { text, at: index - start + before.length };
}

/** The error for a config that was read but does not fit; `problems` is in order of position and not empty. */
export function configInvalid(file: string, problems: readonly Problem[]): MonocoreError {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  return new MonocoreError('ConfigInvalid', `${file} has ${count}; nothing was started`, { details: problems });
}
