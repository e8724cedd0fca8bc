/** Parsing of JSON (RFC 8259) to values and their positions. */
import { type AnyNode, parse } from '@humanwhocodes/momoa';
import {
  ConfigSyntaxError,
  type Document,
  MAX_DEPTH,
  type Path,
  Positions,
  quote,
  type Span,
  type Table,
} from './document.ts';

/** Parses a document. Throws {@link ConfigSyntaxError}, also for a duplicate key. Pure. */
export function parseJson(text: string): Document {
  const body = parseBody(text, findControlCharacter(text));
  if (body.type !== 'Object') throw new ConfigSyntaxError(spanOf(body), 'the document must be an object');
  const positions = new Positions();
  const table = readValue(body, [], positions) as Table;
  return { table, findPositions: () => positions };
}

function parseBody(text: string, control: number): AnyNode {
  try {
    JSON.parse(text);
    return parse(text, { mode: 'json' }).body;
  } catch (error) {
    throw toSyntaxError(text, error as Error, control);
  }
}

/**
 * Builds the syntax error. The JavaScript engine knows best where a text stops being JSON but does not always report
 * it; the other parser does.
 */
function toSyntaxError(text: string, error: Error, control: number): ConfigSyntaxError {
  const end = text.trimEnd().length;
  const position = /at position (\d+)/.exec(error.message)?.[1];
  const isAtEnd = /end of JSON input|Unterminated string/.test(error.message);
  const offset = isAtEnd ? end : position === undefined ? findOffset(text) : Number(position);
  if (control !== -1 && control <= offset) {
    const isLineEnd = /[\r\n]/.test(text[control]!);
    const message = isLineEnd
      ? 'this string has no closing quote; a line break in it is written \\n'
      : 'a string must not contain control characters';
    return new ConfigSyntaxError([control, control + 1], message);
  }
  if (offset >= end) return new ConfigSyntaxError([end, end], 'the file ends too early');
  return new ConfigSyntaxError([offset, offset + 1], reason(text, offset));
}

function findOffset(text: string): number {
  try {
    parse(text, { mode: 'json' });
  } catch (error) {
    const { offset } = error as { offset?: number };
    if (offset !== undefined) return offset;
  }
  return 0;
}

function reason(text: string, offset: number): string {
  const character = text[offset]!;
  if (/[}\]]/.test(character) && text.slice(0, offset).trimEnd().endsWith(',')) {
    return 'a comma must not follow the last element';
  }
  if (character === '/') return 'comments are not allowed';
  if (character === "'") return 'strings are in double quotes';
  return `${quote(character)} is not expected here`;
}

/**
 * Offset of the first control character in a string, or -1. Rejects texts that would overflow the stack of a parser.
 */
function findControlCharacter(text: string): number {
  let depth = 0;
  let control = -1;
  let isInString = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]!;
    if (character === '"') isInString = !isInString;
    else if (isInString && character === '\\') at += 1;
    else if (isInString && character < ' ' && control === -1) control = at;
    else if (!isInString && (character === '[' || character === '{')) depth += 1;
    else if (!isInString && (character === ']' || character === '}')) depth -= 1;
    if (depth > MAX_DEPTH) {
      throw new ConfigSyntaxError([at, at + 1], `values are nested more than ${MAX_DEPTH} levels deep`);
    }
  }
  return control;
}

function spanOf({ loc }: AnyNode): Span {
  return [loc.start.offset, loc.end.offset];
}

function readValue(node: AnyNode, path: Path, positions: Positions): unknown {
  switch (node.type) {
    case 'Object': {
      const table: Record<string, unknown> = Object.create(null);
      for (const { name, value } of node.members) {
        const key = name.type === 'String' ? name.value : name.name;
        if (Object.hasOwn(table, key)) throw new ConfigSyntaxError(spanOf(name), `duplicate key ${quote(key)}`);
        const inner = [...path, key];
        positions.add(inner, spanOf(name), spanOf(value));
        table[key] = readValue(value, inner, positions);
      }
      return table;
    }
    case 'Array':
      return node.elements.map(({ value }, index) => {
        const inner = [...path, index];
        positions.add(inner, spanOf(value), spanOf(value));
        return readValue(value, inner, positions);
      });
    case 'String':
    case 'Number':
    case 'Boolean':
      return node.value;
    default:
      return null;
  }
}
