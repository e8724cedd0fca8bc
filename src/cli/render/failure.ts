/** Errors on stderr. */
import { inspect } from 'node:util';
import { type ConfigProblem, formatProblem } from '../../config/problems.ts';
import { maskLines } from '../../lib/control-characters.ts';
import { type ErrorCode, errorTextWithPath, hintOf, MonocoreError } from '../../lib/errors.ts';
import { type TextOptions, wrap } from './terminal-text.ts';

/** Maximum number of config problems to show: more are usually one mistake repeated. */
const MAX_PROBLEMS = 100;

const INDENT = '  ';
const DEBUG_HINT = 'run it again with MONOCORE_DEBUG=1 to see the stack';

/** Hints for errors that carry none of their own. */
const HINTS: Partial<Record<ErrorCode, string>> = {
  ToolMissing: 'monocore doctor checks this host',
  Internal: DEBUG_HINT,
};

/** `monocore: message`, followed by hints. Ends in a newline. @param debug adds the stack and the causes */
export function renderFailure(
  error: unknown,
  options: TextOptions,
  debug = process.env.MONOCORE_DEBUG === '1',
): string {
  const { colors, columns } = options;
  const lines = [
    ...wrap(`${colors.red('monocore:')} ${maskLines(errorTextWithPath(error))}`, columns, '', INDENT),
    ...hintsFor(error, columns - INDENT.length).map((hint) => `${INDENT}${hint}`),
  ];
  if (debug) lines.push(colors.dim(maskLines(inspect(error))));
  return `${lines.join('\n')}\n`;
}

/** Hints below the message. @param columns maximum length of a line */
function hintsFor(error: unknown, columns: number): string[] {
  if (!(error instanceof MonocoreError)) return [DEBUG_HINT];
  const { code, details } = error;
  if (code === 'ConfigInvalid' && Array.isArray(details)) {
    // A problem of the whole file is already the message.
    const problems = (details as ConfigProblem[]).filter(({ message }) => message !== error.message);
    const hidden = problems.length - MAX_PROBLEMS;
    const lines = problems.slice(0, MAX_PROBLEMS).flatMap((problem) => renderProblem(problem, columns));
    return hidden > 0 ? [...lines, `… and ${hidden} more`] : lines;
  }
  const hint = hintOf(error) ?? HINTS[code];
  return hint === undefined ? [] : wrap(maskLines(hint), columns);
}

function renderProblem(problem: ConfigProblem, columns: number): string[] {
  const isUnlimited = columns === Number.POSITIVE_INFINITY;
  const [headline = '', ...excerpt] = formatProblem(problem, isUnlimited ? undefined : columns).split('\n');
  return [...wrap(headline, columns, '', INDENT), ...excerpt];
}
