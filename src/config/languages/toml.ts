/** Parsing of TOML: smol-toml provides strict values and good errors, toml-eslint-parser provides positions. */
import { parse, TomlError } from 'smol-toml';
import { type AST, parseTOML } from 'toml-eslint-parser';
import { errorText } from '../../lib/errors.ts';
import { ConfigSyntaxError, type Document, Lines, MAX_DEPTH, type Path, Positions, type Span } from './document.ts';

/** Parses a document; integers beyond 2^53 are bigints. Throws {@link ConfigSyntaxError}. Pure. */
export function parseToml(text: string): Document {
  try {
    // A multi-line string should not depend on line endings: with carriage returns from Windows no shell could run it.
    const table = parse(text.replaceAll('\r\n', '\n'), { integersAsBigInt: 'asNeeded', maxDepth: MAX_DEPTH });
    return { table, findPositions: () => findTomlPositions(text) };
  } catch (error) {
    // Any other error of the parser also concerns this text: report it with the name of the file.
    const { line, column } = error instanceof TomlError ? error : { line: 1, column: 1 };
    const lines = new Lines(text);
    const isAtLineEnd = column > lines.source(line).length;
    const offset = lines.offset(line, column);
    throw new ConfigSyntaxError(
      [offset, offset],
      reason(errorText(error), text.charAt(offset), isAtLineEnd, isAtLineEnd && line === lines.count),
    );
  }
}

/** Message of the parser without its prefix and excerpt, or a better one if it is misleading. */
function reason(text: string, character: string, isAtLineEnd: boolean, isAtEnd: boolean): string {
  const [sentence = ''] = text.split('\n');
  // The parser reports a missing quote as a line break in a string, and a missing bracket as an invalid value after the
  // last character: true but misleading.
  if (isAtEnd) return 'the file ends too early, in the middle of a value or key';
  if (isAtLineEnd && sentence.endsWith('not allowed in strings')) return 'this string has no closing quote';
  if (sentence.includes('excessively nested')) return `values are nested more than ${MAX_DEPTH} levels deep`;
  if (sentence.endsWith('invalid value') && /[A-Za-z]/.test(character)) return 'text must be in quotes';
  return sentence.replace(/^Invalid TOML document: /, '').replace(/\.+$/, '');
}

/**
 * Positions in a valid TOML text; empty if it uses syntax that toml-eslint-parser does not support but smol-toml does.
 * Pure.
 */
export function findTomlPositions(text: string): Positions {
  const positions = new Positions();
  const { short, restore } = shortenStrings(text);
  const spanOf = ({ range: [start, end] }: AST.TOMLNode): Span => [restore(start), restore(end)];

  const addValue = (path: Path, value: AST.TOMLContentNode): void => {
    if (value.type === 'TOMLInlineTable') for (const pair of value.body) addPair(path, pair);
    if (value.type !== 'TOMLArray') return;
    for (const [index, element] of value.elements.entries()) {
      positions.add([...path, index], spanOf(element), spanOf(element));
      addValue([...path, index], element);
    }
  };
  const addPair = (base: Path, { key: { keys }, value }: AST.TOMLKeyValue): void => {
    const path = [...base, ...keys.slice(0, MAX_KEYS).map(nameOf)];
    for (const [index, key] of keys.entries()) {
      const isLast = index === keys.length - 1;
      positions.add(path.slice(0, base.length + index + 1), spanOf(key), spanOf(isLast ? value : key));
    }
    addValue(path, value);
  };
  const addTable = ({ kind, key, range, resolvedKey, body }: AST.TOMLTable): void => {
    const headerEnd = short.indexOf(']', key.range[1]) + (kind === 'array' ? 2 : 1);
    const header: Span = [restore(range[0]), restore(headerEnd)];
    let keyIndex = -1;
    for (const [index, part] of resolvedKey.entries()) {
      if (typeof part === 'string') keyIndex += 1;
      positions.add(resolvedKey.slice(0, index + 1), spanOf(key.keys[keyIndex]!), header);
    }
    for (const pair of body) addPair(resolvedKey, pair);
  };

  try {
    for (const node of parseTOML(short, { tomlVersion: '1.1' }).body[0].body) {
      if (node.type === 'TOMLTable') addTable(node);
      else addPair([], node);
    }
  } catch {
    // Without positions, problems are reported at the start of the file.
  }
  return positions;
}

/** Maximum number of dotted keys: more than any path of a problem has. */
const MAX_KEYS = 16;

function nameOf(key: AST.TOMLBare | AST.TOMLQuoted): string {
  return key.type === 'TOMLBare' ? key.name : key.value;
}

/**
 * Longest string for toml-eslint-parser, which passes each character as an argument of one call: 100,000 overflow the
 * stack.
 */
const MAX_STRING_CHARS = 10_000;

/** Ends of strings, and escapes in them. Up to two quotes before the three closing ones belong to the string. */
const CLOSINGS: Readonly<Record<string, RegExp>> = {
  '"""': /\\.|"{3,5}/gs,
  "'''": /'{3,5}/g,
  '"': /\\.|"/gs,
  "'": /'/g,
};

/** Text with long strings emptied, and a function that maps offsets in it to offsets in the original. */
function shortenStrings(text: string): { short: string; restore: (offset: number) => number } {
  const cuts: { readonly at: number; readonly removed: number }[] = [];
  const opening = /#[^\n]*|"""|'''|"|'/g;
  let short = '';
  let copied = 0;
  for (let start = opening.exec(text); start !== null; start = opening.exec(text)) {
    const [mark] = start;
    if (mark.startsWith('#')) continue;
    const stop = CLOSINGS[mark]!;
    const from = opening.lastIndex;
    stop.lastIndex = from;
    let end = stop.exec(text);
    while (end?.[0].startsWith('\\')) end = stop.exec(text);
    if (end === null) break;
    opening.lastIndex = stop.lastIndex;
    if (end.index - from <= MAX_STRING_CHARS) continue;
    short += text.slice(copied, from);
    cuts.push({ at: short.length, removed: end.index - from });
    copied = end.index;
  }
  short += text.slice(copied);
  const restore = (offset: number) =>
    cuts.reduce((sum, { at, removed }) => (offset > at ? sum + removed : sum), offset);
  return { short, restore };
}
