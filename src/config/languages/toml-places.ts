/**
 * Where the keys and values of a TOML document stand. The parser keeps no positions, and those that do give up on long
 * strings; so the text, which is known to be valid by then, is scanned for its structure alone.
 */
import type { Path } from '../fault.ts';
import { Places, type Span } from '../positions.ts';

interface Key {
  readonly name: string;
  readonly span: Span;
}

/** The places of a text that is valid TOML; of one that is not, those up to where it was understood. Pure. */
export function findTomlPlaces(text: string): Places {
  const scan = new Scan(text);
  try {
    scan.document();
  } catch {
    // Of what is behind, the tables around are known.
  }
  return scan.places;
}

const BLANKS = /(?:[ \t\r\n]+|#[^\n]*)*/y;
const SPACES = /[ \t]*/y;
const BARE_KEY = /[\w-]+/y;
/** A date and its time may have a space between them. */
const BARE_VALUE = /(?:\d{4}-\d\d-\d\d \d\d:)?[^\s,\]}#]+/y;
/** Up to two quotes before the closing ones belong to the text. */
const QUOTES: Readonly<Record<string, RegExp>> = { '"""': /\\.|"{3,5}/gs, "'''": /'{3,5}/g };

class Scan {
  readonly places = new Places();
  readonly #text: string;
  #at = 0;
  /** Last index of each array of tables, by its path. */
  readonly #arrays = new Map<string, number>();

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    let base: Path = [];
    for (this.#skip(BLANKS); this.#at < this.#text.length; this.#skip(BLANKS)) {
      if (this.#text[this.#at] === '[') base = this.#header();
      else this.#pair(base);
    }
  }

  /** The path of a header's table. */
  #header(): Path {
    const start = this.#at;
    const brackets = this.#text.startsWith('[[', start) ? 2 : 1;
    this.#at += brackets;
    const keys = this.#keys();
    this.#skip(SPACES);
    this.#at += brackets;
    const path: (string | number)[] = [];
    for (const [index, key] of keys.entries()) {
      path.push(key.name);
      this.places.add(path, key.span, [start, this.#at]);
      const id = JSON.stringify(path);
      if (brackets === 2 && index === keys.length - 1) this.#arrays.set(id, (this.#arrays.get(id) ?? -1) + 1);
      const element = this.#arrays.get(id);
      if (element === undefined) continue;
      path.push(element);
      this.places.add(path, key.span, [start, this.#at]);
    }
    return path;
  }

  #pair(base: Path): void {
    const keys = this.#keys();
    this.#skip(SPACES);
    this.#expect('=');
    this.#skip(SPACES);
    const path = [...base, ...keys.map(({ name }) => name)];
    const value = this.#value(path);
    for (const [index, { span }] of keys.entries()) {
      const isLast = index === keys.length - 1;
      this.places.add(path.slice(0, base.length + index + 1), span, isLast ? value : span);
    }
  }

  /** Keys with dots between them; more than any path may have are read and dropped. */
  #keys(): Key[] {
    const keys: Key[] = [];
    do {
      this.#skip(SPACES);
      const key = this.#key();
      if (keys.length < 16) keys.push(key);
      this.#skip(SPACES);
    } while (this.#take('.'));
    return keys;
  }

  #key(): Key {
    const start = this.#at;
    const quote = this.#text[start];
    if (quote === '"') this.#basicString();
    else if (quote === "'") this.#at = this.#text.indexOf("'", start + 1) + 1;
    else this.#match(BARE_KEY);
    const written = this.#text.slice(start, this.#at);
    const name = quote === '"' ? unescapeKey(written) : quote === "'" ? written.slice(1, -1) : written;
    return { name, span: [start, this.#at] };
  }

  #value(path: Path): Span {
    const start = this.#at;
    switch (this.#text[start]) {
      case '"':
      case "'":
        this.#string();
        break;
      case '[':
        this.#array(path);
        break;
      case '{':
        this.#table(path);
        break;
      default:
        this.#match(BARE_VALUE);
    }
    return [start, this.#at];
  }

  #string(): void {
    const quotes = this.#text.slice(this.#at, this.#at + 3);
    const closing = QUOTES[quotes];
    if (closing !== undefined) {
      closing.lastIndex = this.#at + 3;
      for (let found = closing.exec(this.#text); found !== null; found = closing.exec(this.#text)) {
        if (found[0].startsWith('\\')) continue;
        this.#at = closing.lastIndex;
        return;
      }
      throw new Error('a string without end');
    }
    if (quotes.startsWith('"')) this.#basicString();
    else this.#at = this.#text.indexOf("'", this.#at + 1) + 1;
  }

  /** Without a regular expression: one that repeats a group a million times runs out of stack. */
  #basicString(): void {
    for (let at = this.#at + 1; at < this.#text.length; at += 1) {
      if (this.#text[at] === '\\') at += 1;
      else if (this.#text[at] === '"') {
        this.#at = at + 1;
        return;
      }
    }
    throw new Error('a string without end');
  }

  #array(path: Path): void {
    this.#expect('[');
    for (let index = 0; ; index += 1) {
      this.#skip(BLANKS);
      if (this.#take(']')) return;
      const element = [...path, index];
      const value = this.#value(element);
      this.places.add(element, value, value);
      this.#skip(BLANKS);
      this.#take(',');
    }
  }

  #table(path: Path): void {
    this.#expect('{');
    for (;;) {
      this.#skip(BLANKS);
      if (this.#take('}')) return;
      this.#pair(path);
      this.#skip(BLANKS);
      this.#take(',');
    }
  }

  #skip(pattern: RegExp): void {
    pattern.lastIndex = this.#at;
    pattern.test(this.#text);
    this.#at = Math.max(this.#at, pattern.lastIndex);
  }

  #match(pattern: RegExp): void {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) throw new Error('not what was looked for');
    this.#at = pattern.lastIndex;
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #expect(character: string): void {
    if (!this.#take(character)) throw new Error(`no ${character}`);
  }
}

/** TOML's escapes are those of JSON, and `\e`, `\xHH` and `\UHHHHHHHH` besides. */
function unescapeKey(written: string): string {
  const json = written.replace(/\\(?:U([\da-fA-F]{8})|x([\da-fA-F]{2})|(e)|.)/gs, (whole, long, short, isEscape) => {
    if (isEscape) return '\\u001b';
    const code = long ?? short;
    return code === undefined ? whole : JSON.stringify(String.fromCodePoint(Number.parseInt(code, 16))).slice(1, -1);
  });
  return JSON.parse(json.replaceAll('\t', '\\t'));
}
