/** Parsing of YAML (1.2, core schema) to values and their positions. */
import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  type Node,
  type Pair,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import { errorText } from '../../lib/errors.ts';
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

/**
 * Maximum number of tokens in a text (scalars, spaces, line breaks …). The parser needs a second for this many; a
 * config has hundreds.
 */
const MAX_TOKENS = 100_000;
/** Maximum indentation of a block; each level is at least one column deeper. */
const MAX_INDENT = 2 * MAX_DEPTH;
/** Maximum number of values that all aliases together expand to: each may expand to a table that contains aliases. */
const MAX_ALIASED_VALUES = 10_000;

/** Tokens without text: document marks, ends of flow collections and scalars, and the byte order mark. */
const MARKS: ReadonlySet<string> = new Set(['\u0002', '\u0018', '\u001f', '\uFEFF']);

/** Parses a document. Throws {@link ConfigSyntaxError}, also for tags and for keys that are not strings. Pure. */
export function parseYaml(text: string): Document {
  refuseExcess(text);
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    strict: true,
    stringKeys: true,
    merge: false,
    // Duplicate keys are detected below, because the parser would compare every pair of keys.
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
  });
  const [error] = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0]);
  if (error !== undefined) {
    // There is nothing to show beyond the last line.
    const start = Math.min(error.pos[0], text.trimEnd().length);
    throw new ConfigSyntaxError([start, error.pos[1]], reason(error.code, errorText(error)));
  }
  const reader = new Reader();
  const root: unknown = document.contents;
  // As in TOML, an empty document is a table without keys.
  if (root === null || (isScalar(root) && root.value === null))
    return { table: Object.create(null), findPositions: () => reader.positions };
  if (!isMap(root)) throw new ConfigSyntaxError(spanOf(root as Node), 'the document must be a mapping');
  const table = reader.map(root, [], 0);
  return { table, findPositions: () => reader.positions };
}

function reason(code: string, message: string): string {
  if (code === 'MULTIPLE_DOCS') return 'there is more than one document';
  if (code === 'TAG_RESOLVE_FAILED') return 'tags are not allowed';
  if (/^Missing closing .quote/.test(message)) return 'this string has no closing quote';
  if (code === 'NON_STRING_KEY') return 'a key must be a string';
  return message.split('\n')[0]!.replace(/^[A-Z](?=[a-z ])/, (letter) => letter.toLowerCase());
}

/** Rejects texts that could overflow the stack of a recursive parser, which may end the process. */
function refuseExcess(text: string): void {
  let tokens = 0;
  let depth = 0;
  let offset = 0;
  let column = 0;
  for (const token of new Lexer().lex(text)) {
    tokens += 1;
    if (token === '[' || token === '{') depth += 1;
    else if (token === ']' || token === '}') depth = Math.max(0, depth - 1);
    const isTooFar = depth === 0 && column > MAX_INDENT && (token === '-' || token === '?');
    const isIndent = column === 0 && depth === 0 && token.length > MAX_INDENT && /^ +$/.test(token);
    if (depth > MAX_DEPTH || isTooFar || isIndent) {
      throw new ConfigSyntaxError(
        [offset, offset + 1],
        `values are nested more than ${MAX_DEPTH} levels deep, or too far to the right`,
      );
    }
    if (tokens > MAX_TOKENS) throw new ConfigSyntaxError([offset, offset + 1], 'the file is too complex for a config');
    if (!MARKS.has(token)) {
      offset += token.length;
      const lineEnd = token.lastIndexOf('\n');
      column = lineEnd === -1 ? column + token.length : token.length - lineEnd - 1;
    }
  }
}

function spanOf(node: Node | null | undefined, fallback: Span = [0, 0]): Span {
  return node?.range ? [node.range[0], node.range[1]] : fallback;
}

class Reader {
  readonly positions = new Positions();
  /** Nodes by anchor, for the part of the document read so far: an alias refers to the last anchor before it. */
  readonly #anchors = new Map<string, Node>();
  #aliased = 0;
  #aliasDepth = 0;

  map(node: YAMLMap, path: Path, depth: number): Table {
    refuseTag(node);
    const table: Record<string, unknown> = Object.create(null);
    for (const { key, value } of node.items as Pair<Node, Node | null>[]) {
      const name = isScalar(key) ? key.value : undefined;
      if (typeof name !== 'string') throw new ConfigSyntaxError(spanOf(key), 'a key must be a string');
      refuseTag(key);
      if (Object.hasOwn(table, name)) throw new ConfigSyntaxError(spanOf(key), `duplicate key ${quote(name)}`);
      const inner = [...path, name];
      this.#place(inner, spanOf(key), spanOf(value, spanOf(key)));
      table[name] = this.#value(value, inner, depth + 1);
    }
    return table;
  }

  #value(node: Node | null, path: Path, depth: number): unknown {
    if (depth > MAX_DEPTH)
      throw new ConfigSyntaxError(spanOf(node), `values are nested more than ${MAX_DEPTH} levels deep`);
    if (this.#aliasDepth > 0) {
      this.#aliased += 1;
      if (this.#aliased > MAX_ALIASED_VALUES)
        throw new ConfigSyntaxError(spanOf(node), 'aliases expand to too many values');
    }
    if (isAlias(node)) return this.#alias(node, path, depth);
    if (node?.anchor !== undefined) this.#anchors.set(node.anchor, node);
    if (isMap(node)) return this.map(node, path, depth);
    if (isSeq(node)) {
      refuseTag(node);
      return node.items.map((item, index) => {
        const inner = [...path, index];
        this.#place(inner, spanOf(item as Node), spanOf(item as Node));
        return this.#value(item as Node, inner, depth + 1);
      });
    }
    if (!isScalar(node)) return null;
    refuseTag(node);
    return node.value;
  }

  /** Value of an alias; problems in it are reported at the position of the alias. */
  #alias(node: Alias, path: Path, depth: number): unknown {
    const target = this.#anchors.get(node.source);
    if (target === undefined) throw new ConfigSyntaxError(spanOf(node), 'unknown anchor');
    this.#aliasDepth += 1;
    const value = this.#value(target, path, depth + 1);
    this.#aliasDepth -= 1;
    return value;
  }

  #place(path: Path, key: Span, value: Span): void {
    if (this.#aliasDepth === 0) this.positions.add(path, key, value);
  }
}

function refuseTag(node: Node): void {
  if (!isAlias(node) && node.tag !== undefined) throw new ConfigSyntaxError(spanOf(node), 'tags are not allowed');
}
