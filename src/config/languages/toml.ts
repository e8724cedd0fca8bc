/** TOML text to values, and where they stand. */
import { parse, TomlError } from 'smol-toml';
import { errorText } from '../../lib/errors.ts';

import { Lines } from '../positions.ts';
import { type Document, MAX_DEPTH, SyntaxFault } from './syntax.ts';
import { findTomlPlaces } from './toml-places.ts';

/** The document; integers beyond 2^53 are bigints. Throws {@link SyntaxFault}. Pure. */
export function parseToml(text: string): Document {
  try {
    const table = parse(text, { integersAsBigInt: 'asNeeded', maxDepth: MAX_DEPTH });
    return { table, findPlaces: () => findTomlPlaces(text) };
  } catch (error) {
    // Whatever else the parser throws is about this text, too: at least its reader learns the file.
    const { line, column } = error instanceof TomlError ? error : { line: 1, column: 1 };
    const lines = new Lines(text);
    const isAtLineEnd = column > lines.source(line).length;
    const offset = lines.offset(line, column);
    throw new SyntaxFault(
      [offset, offset],
      reason(errorText(error), text.charAt(offset), isAtLineEnd, isAtLineEnd && line === lines.count),
    );
  }
}

/** The parser's own sentence, without its prefix and the excerpt below it, or a better one where it misleads. */
function reason(text: string, character: string, isAtLineEnd: boolean, isAtEnd: boolean): string {
  const [sentence = ''] = text.split('\n');
  // To the parser, a missing quote is a line break inside of a string, and a missing bracket is an invalid value behind
  // the last character: both true, but not what anybody would look for.
  if (isAtEnd) return 'the file ends too early, in the middle of a value or key';
  if (isAtLineEnd && sentence.endsWith('not allowed in strings')) return 'this string has no closing quote';
  if (sentence.includes('excessively nested')) return `values are nested more than ${MAX_DEPTH} deep`;
  if (sentence.endsWith('invalid value') && /[A-Za-z]/.test(character)) return 'text has to be in quotes';
  return sentence.replace(/^Invalid TOML document: /, '').replace(/\.+$/, '');
}
