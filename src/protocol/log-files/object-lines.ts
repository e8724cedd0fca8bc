/**
 * Lines that are JSON objects, RFC 8259, which a JSON record can therefore contain as they are.
 *
 * The grammar is checked here rather than by `JSON.parse`, which would build every object that a service prints and
 * throw an error for every line that only looks like one. It is narrower in what common readers refuse together with the
 * whole record: control characters between values, more than {@link MAX_LEVELS} levels, a number that no double holds
 * (`1e999`), and half a surrogate pair (`\ud800`).
 */

/** Maximum number of levels; readers with a limit have 128 and more, of which the record itself takes one. */
export const MAX_LEVELS = 100;

const SPACE = 0x20;
const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const UPPERCASE_E = 0x45;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const LOWERCASE_E = 0x65;
const LOWERCASE_U = 0x75;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Result of a search that found nothing. */
const NONE = -1;

/** True if the line in [from, to), which must be UTF-8, is an object that a record can contain. */
export function isObjectLine(source: Buffer, from: number, to: number): boolean {
  if (from >= to || source[from] !== OPEN_BRACE) return false;
  const bytes = source.subarray(from, to);
  return skipSpaces(bytes, endOfContainer(bytes, 0, 1)) === bytes.length;
}

// Each function below takes the offset at which something begins and returns the one behind it, or NONE.

function endOfContainer(bytes: Buffer, start: number, level: number): number {
  if (level > MAX_LEVELS) return NONE;
  const isObject = bytes[start] === OPEN_BRACE;
  const close = isObject ? CLOSE_BRACE : CLOSE_BRACKET;
  let at = skipSpaces(bytes, start + 1);
  if (bytes[at] === close) return at + 1;
  for (;;) {
    if (isObject) at = endOfKey(bytes, at);
    at = skipSpaces(bytes, endOfValue(bytes, at, level));
    if (bytes[at] === close) return at + 1;
    if (bytes[at] !== COMMA) return NONE;
    at = skipSpaces(bytes, at + 1);
  }
}

/** The key, its colon and the spaces around that. */
function endOfKey(bytes: Buffer, start: number): number {
  if (bytes[start] !== QUOTE) return NONE;
  const colon = skipSpaces(bytes, endOfString(bytes, start));
  return bytes[colon] === COLON ? skipSpaces(bytes, colon + 1) : NONE;
}

function endOfValue(bytes: Buffer, start: number, level: number): number {
  const byte = bytes[start];
  if (byte === QUOTE) return endOfString(bytes, start);
  if (byte === OPEN_BRACE || byte === OPEN_BRACKET) return endOfContainer(bytes, start, level + 1);
  return isDigit(byte) || byte === MINUS ? endOfNumber(bytes, start) : endOfName(bytes, start);
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

function skipSpaces(bytes: Buffer, start: number): number {
  let at = start;
  while (bytes[at] === SPACE) at += 1;
  return at;
}

function endOfString(bytes: Buffer, start: number): number {
  for (let at = start + 1; at < bytes.length; at += 1) {
    const byte = bytes[at]!;
    if (byte === QUOTE) return at + 1;
    if (byte < SPACE) return NONE;
    if (byte === BACKSLASH) {
      const end = endOfEscape(bytes, at);
      if (end === NONE) return NONE;
      at = end - 1;
    }
  }
  return NONE;
}

const PAIR = /^\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}/;
const UNIT = /^\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}/;
const SIMPLE_ESCAPES = Buffer.from('"\\/bfnrt');

function endOfEscape(bytes: Buffer, start: number): number {
  const byte = bytes[start + 1];
  if (byte === undefined) return NONE;
  if (byte !== LOWERCASE_U) return SIMPLE_ESCAPES.includes(byte) ? start + 2 : NONE;
  const escapes = bytes.toString('latin1', start, start + 12);
  const found = UNIT.exec(escapes) ?? PAIR.exec(escapes);
  return found ? start + found[0].length : NONE;
}

const NAMES = ['true', 'false', 'null'].map((name) => Buffer.from(name));

function endOfName(bytes: Buffer, start: number): number {
  const name = NAMES.find((each) => each[0] === bytes[start]);
  return name?.every((byte, index) => bytes[start + index] === byte) ? start + name.length : NONE;
}

/** Number of bytes up to which a number without an exponent is one that a double holds. */
const MAX_PLAIN_BYTES = 300;

function endOfNumber(bytes: Buffer, start: number): number {
  const first = bytes[start] === MINUS ? start + 1 : start;
  let end = bytes[first] === ZERO ? first + 1 : endOfDigits(bytes, first);
  if (bytes[end] === POINT) end = endOfDigits(bytes, end + 1);
  const hasExponent = bytes[end] === LOWERCASE_E || bytes[end] === UPPERCASE_E;
  if (hasExponent) {
    const sign = bytes[end + 1];
    end = endOfDigits(bytes, sign === PLUS || sign === MINUS ? end + 2 : end + 1);
  }
  if (end === NONE || (!hasExponent && end - start <= MAX_PLAIN_BYTES)) return end;
  return Number.isFinite(Number(bytes.toString('latin1', start, end))) ? end : NONE;
}

function endOfDigits(bytes: Buffer, start: number): number {
  let end = start;
  while (isDigit(bytes[end])) end += 1;
  return end > start ? end : NONE;
}
