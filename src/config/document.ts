/** TOML text to values. */
import { parse, TomlError } from 'smol-toml';
import { errorText } from '../errors.ts';
import { splitLines } from './locate.ts';
import { configInvalid } from './problem.ts';
import type { Table } from './value.ts';

/** Deepest nesting of inline arrays and tables. A config needs three; the limit keeps recursion off the stack's end. */
const MAX_DEPTH = 64;

/**
 * The document as a table without prototype; integers beyond 2^53 are bigints. Throws `ConfigInvalid` with the one
 * problem at which the parser gave up. Pure.
 */
export function parseDocument(file: string, text: string): Table {
  try {
    return parse(text, { integersAsBigInt: 'asNeeded', maxDepth: MAX_DEPTH });
  } catch (error) {
    // Whatever else the parser throws is about this text, too: at least its reader learns the file.
    const { line, column } = error instanceof TomlError ? error : { line: 1, column: 1 };
    const lines = splitLines(text);
    const source = lines[line - 1] ?? '';
    const isAtLineEnd = column > source.length;
    const message = `not TOML: ${reason(errorText(error), isAtLineEnd, isAtLineEnd && line === lines.length)}`;
    throw configInvalid(file, [{ file, line, column, path: '', message, expected: null, source }]);
  }
}

/** The parser's own sentence, without its prefix and the excerpt below it, or a better one where it misleads. */
function reason(text: string, isAtLineEnd: boolean, isAtEnd: boolean): string {
  const [sentence = ''] = text.split('\n');
  // To the parser, a missing quote is a line break inside of a string, and a missing bracket is an invalid value behind
  // the last character: both true, but not what anybody would look for.
  if (isAtEnd) return 'the file ends too early, in the middle of a value or key';
  if (isAtLineEnd && sentence.endsWith('not allowed in strings')) return 'this string has no closing quote';
  return sentence.replace(/^Invalid TOML document: /, '').replace(/\.+$/, '');
}
