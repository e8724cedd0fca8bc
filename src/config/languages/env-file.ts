/**
 * Parser of env files, as used by `docker run --env-file`, docker compose and dotenv: `NAME=value` lines, `#` comments,
 * quoted values. Unlike other parsers of such files, this one reports every line that it does not understand.
 */
import { findVariableProblem } from '../schema/pairs.ts';
import { quote } from './document.ts';

interface EnvFileProblem {
  readonly line: number;
  readonly message: string;
}

/**
 * `NAME=`, followed by a quoted value, which may span lines and be followed by a comment, or by the rest of the line.
 */
const STATEMENT =
  /[^\S\n]*(?:export[^\S\n]+)?([^\s=#]+)[^\S\n]*=[^\S\n]*(?:(?:'([^']*)'|"([^"\\]*(?:\\.[^"\\]*)*)"|`([^`]*)`)[^\S\n]*(?:#[^\n]*)?|([^\n]*))(?:\n|$)/sy;
const BLANK = /[^\S\n]*(?:#[^\n]*)?(?:\n|$)/y;

/**
 * Parses variables; a later one overrides an earlier one of the same name. Returns all problems instead if there are
 * any. A value in single quotes is literal: its `$` is doubled, because references are resolved later. Pure.
 */
export function parseEnvFile(text: string): { envs: Record<string, string>; problems: readonly EnvFileProblem[] } {
  const source = text.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n');
  const envs = new Map<string, string>();
  const problems: EnvFileProblem[] = [];
  let line = 1;
  for (let at = 0; at < source.length; ) {
    const match = matchAt(BLANK, source, at) ?? matchAt(STATEMENT, source, at);
    const lineEnd = source.indexOf('\n', at);
    const end = match === null ? (lineEnd === -1 ? source.length : lineEnd + 1) : at + match[0].length;
    const found = match === null ? { problem: 'has no "="' } : readStatement(match);
    if (found !== null && 'problem' in found) problems.push({ line, message: found.problem });
    else if (found !== null) envs.set(found.name, found.value);
    for (let next = source.indexOf('\n', at); next !== -1 && next < end; next = source.indexOf('\n', next + 1))
      line += 1;
    at = end;
  }
  return { envs: Object.fromEntries(envs), problems };
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** Variable of a statement; null for a blank line or a comment. */
function readStatement(match: RegExpExecArray): { name: string; value: string } | { problem: string } | null {
  const [, name, single, double, backtick, bare] = match;
  if (name === undefined) return null;
  if (bare !== undefined && /^['"`]/.test(bare)) return { problem: `the value of ${quote(name)} has no closing quote` };
  const value =
    single?.replaceAll('$', '$$$$') ??
    backtick ??
    (double === undefined ? bareValue(bare ?? '') : resolveEscapes(double));
  const problem = findVariableProblem(name, value);
  return problem === null ? { name, value } : { problem };
}

/** Unquoted value without surrounding blanks and without a comment, which must follow a blank. */
function bareValue(text: string): string {
  return text.replace(/(^|\s)#.*$/, '').trim();
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\' };

function resolveEscapes(text: string): string {
  return text.replace(/\\(.)/gs, (whole, character: string) => ESCAPES[character] ?? whole);
}
