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
  /** `service[1].port`; empty for the document as a whole. */
  readonly path: string;
  /** What is wrong, without a full stop. */
  readonly message: string;
  /** What would be right, or null where the message says it already. */
  readonly expected: string | null;
  /** The offending line as it stands in the file; empty where the file could not be read. */
  readonly source: string;
}

/**
 * `file:line:column: path: message (expected …)`, then the source line and a caret below the column. A problem without
 * a source line is the first line alone. Control characters are shown as `�`, so that a config cannot drive the
 * terminal; tabs stay, and the caret is indented by the same tabs.
 */
export function formatProblem(problem: Problem): string {
  const { file, line, column, path, message, expected } = problem;
  const where = path === '' ? `${file}:${line}:${column}` : `${file}:${line}:${column}: ${path}`;
  const headline = maskControls(`${where}: ${message}${expected === null ? '' : ` (expected ${expected})`}`);
  if (problem.source === '') return headline;
  const source = maskControls(problem.source);
  const indent = source.slice(0, column - 1).replace(/[^\t]/g, ' ');
  return `${headline}\n${source}\n${indent}^`;
}

/** The error for a config that was read but does not fit; `problems` is in order of position and not empty. */
export function configInvalid(file: string, problems: readonly Problem[]): MonocoreError {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  return new MonocoreError('ConfigInvalid', `${file} has ${count}; nothing was started`, { details: problems });
}
