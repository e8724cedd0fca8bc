/** YAML text (1.2, core schema) to values, and where they stand. */
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
  type Range,
  type YAMLMap,
} from 'yaml';
import { errorText } from '../../lib/errors.ts';
import { quote } from '../problems.ts';
import { type Path, Positions, type Span } from './positions.ts';
import type { Table } from './syntax.ts';
import { ConfigSyntaxError, type Document, MAX_DEPTH } from './syntax.ts';

/** Parts of a text (scalars, spaces, line breaks …). The parser needs a second for as many; a config has some hundreds. */
const MAX_TOKENS = 100_000;
/** Column of the innermost block; each level is one further to the right at least. */
const MAX_INDENT = 2 * MAX_DEPTH;
/** Values that aliases stand for, all together: each may stand for a table that has aliases itself. */
const MAX_ALIASED_VALUES = 10_000;

/** Tokens that are no text: where a document, a flow's end, a scalar begins, and a byte order mark. */
const MARKS: ReadonlySet<string> = new Set(['\u0002', '\u0018', '\u001f', '\uFEFF']);

/** The document. Throws {@link ConfigSyntaxError}, also for what a config has no use for: tags, keys that are no strings. Pure. */
export function parseYaml(text: string): Document {
  refuseExcess(text);
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    strict: true,
    stringKeys: true,
    merge: false,
    // Duplicate keys are found below: the parser compares each key with each other one.
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
  });
  const [error] = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0]);
  if (error !== undefined) {
    // Behind the last line there is nothing to show.
    const start = Math.min(error.pos[0], text.trimEnd().length);
    throw new ConfigSyntaxError([start, error.pos[1]], reason(error.code, errorText(error)));
  }
  const reader = new Reader();
  const root: unknown = document.contents;
  // As in TOML, an empty document is a table without keys.
  if (root === null || (isScalar(root) && root.value === null))
    return { table: emptyTable(), findPositions: () => reader.positions };
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

/** Before anything recursive gets the text: near the end of the stack the engine may give up altogether. */
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
        `values are nested more than ${MAX_DEPTH} deep, or too far to the right`,
      );
    }
    if (tokens > MAX_TOKENS)
      throw new ConfigSyntaxError([offset, offset + 1], 'the file has too many parts for a config');
    if (!MARKS.has(token)) {
      offset += token.length;
      const lineEnd = token.lastIndexOf('\n');
      column = lineEnd === -1 ? column + token.length : token.length - lineEnd - 1;
    }
  }
}

function emptyTable(): Record<string, unknown> {
  return Object.create(null);
}

function spanOf(node: Node | null | undefined, fallback: Span = [0, 0]): Span {
  return node?.range ? [node.range[0], node.range[1]] : fallback;
}

class Reader {
  readonly positions = new Positions();
  /** Nodes by anchor, as far as the document was read: an alias stands for the last one before it. */
  readonly #anchors = new Map<string, Node>();
  #aliased = 0;
  #aliasDepth = 0;

  map(node: YAMLMap, path: Path, depth: number): Table {
    refuseTag(node);
    const table = emptyTable();
    for (const { key, value } of node.items as Pair<Node, Node | null>[]) {
      const name = isScalar(key) ? key.value : undefined;
      if (typeof name !== 'string') throw new ConfigSyntaxError(spanOf(key), 'a key must be a string');
      refuseTag(key);
      if (Object.hasOwn(table, name)) throw new ConfigSyntaxError(spanOf(key), `the key ${quote(name)} is there twice`);
      const inner = [...path, name];
      this.#place(inner, spanOf(key), spanOf(value, spanOf(key)));
      table[name] = this.#value(value, inner, depth + 1);
    }
    return table;
  }

  #value(node: Node | null, path: Path, depth: number): unknown {
    if (depth > MAX_DEPTH) throw new ConfigSyntaxError(spanOf(node), `values are nested more than ${MAX_DEPTH} deep`);
    if (this.#aliasDepth > 0) {
      this.#aliased += 1;
      if (this.#aliased > MAX_ALIASED_VALUES) throw new ConfigSyntaxError(spanOf(node), 'aliases stand for too much');
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

  /** What an alias stands for is reported where the alias stands. */
  #alias(node: Alias, path: Path, depth: number): unknown {
    const target = this.#anchors.get(node.source);
    if (target === undefined) throw new ConfigSyntaxError(spanOf(node), 'there is no such anchor');
    this.#aliasDepth += 1;
    const value = this.#value(target, path, depth + 1);
    this.#aliasDepth -= 1;
    return value;
  }

  #place(path: Path, key: Span, value: Span): void {
    if (this.#aliasDepth === 0) this.positions.add(path, key, value);
  }
}

function refuseTag({ tag, range }: { readonly tag?: string; readonly range?: Range | null }): void {
  if (tag !== undefined) throw new ConfigSyntaxError(range ? [range[0], range[1]] : [0, 0], 'tags are not allowed');
}
