/** Errors on stderr. */
import { inspect } from 'node:util';
import { type ConfigProblem, formatProblem } from '../../config/problems.ts';
import { type ErrorCode, errorText, hintOf, MonocoreError } from '../../lib/errors.ts';
import type { Colors } from './terminal-text.ts';

/** Most problems of a config that are shown: more of them are one mistake many times. */
const MAX_PROBLEMS = 100;

const DEBUG_HINT = 'run it again with MONOCORE_DEBUG=1 to see the stack';

/** Hints for errors that bring none. */
const HINTS: Partial<Record<ErrorCode, string>> = {
  Usage: 'monocore help shows the commands and their options',
  ServiceUnknown: 'monocore status lists the services',
  ToolMissing: 'monocore doctor checks this host',
  Internal: DEBUG_HINT,
};

/** `monocore: message`, then hints. Ends in a newline. @param debug adds the stack and the causes */
export function renderFailure(error: unknown, colors: Colors, debug = process.env.MONOCORE_DEBUG === '1'): string {
  const lines = [`${colors.red('monocore:')} ${errorText(error)}`, ...hintsFor(error).map((hint) => `  ${hint}`)];
  if (debug) lines.push(colors.dim(inspect(error)));
  return `${lines.join('\n')}\n`;
}

function hintsFor(error: unknown): string[] {
  if (!(error instanceof MonocoreError)) return [DEBUG_HINT];
  const { code, details } = error;
  if (code === 'ConfigInvalid' && Array.isArray(details)) {
    // The problem of a file as a whole is the message already.
    const problems = (details as ConfigProblem[]).filter(({ message }) => message !== error.message);
    const hidden = problems.length - MAX_PROBLEMS;
    const lines = problems.slice(0, MAX_PROBLEMS).flatMap((problem) => formatProblem(problem).split('\n'));
    return hidden > 0 ? [...lines, `… and ${hidden} more`] : lines;
  }
  const hint = hintOf(error) ?? HINTS[code];
  return hint === undefined ? [] : [hint];
}
