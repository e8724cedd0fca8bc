/** Part of a JSON record behind its head: the line as the content of a string, and the end of the record; see `json.ts`. */
import { isUtf8 } from 'node:buffer';
import { isObjectLine } from './object-lines.ts';
import type { BodyEncoder } from './record.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

// Properties of the bytes in a line, as flags that can be combined.
const NEEDS_ESCAPE = 1;
const NOT_ASCII = 2;

const KINDS = new Uint8Array(256);
KINDS.fill(NEEDS_ESCAPE, 0, 0x20);
KINDS[QUOTE] = NEEDS_ESCAPE;
KINDS[BACKSLASH] = NEEDS_ESCAPE;
KINDS.fill(NOT_ASCII, 0x80);

const ESCAPES: readonly (Buffer | null)[] = Array.from({ length: 256 }, (_, byte) =>
  KINDS[byte] === NEEDS_ESCAPE ? Buffer.from(JSON.stringify(String.fromCharCode(byte)).slice(1, -1), 'latin1') : null,
);

/** End of a record that is continued, without the comma before it. */
export const PARTIAL_END = '"partial":true}\n';
export const END_BYTES = Buffer.from('}\n');
const PARTIAL_END_BYTES = Buffer.from(`,${PARTIAL_END}`);
/** Key of the object, behind the text. */
export const OBJECT_KEY_BYTES = Buffer.from(',"json":');

export const body: BodyEncoder = {
  // `\u001f`, or U+FFFD plus base64 for a byte that is not UTF-8.
  maxGrowth: 8,
  maxEndBytes: 64,
  isJsonString: true,
  put(target, at, source, from, to, { isContinued, isPartial }) {
    const kinds = kindsOf(source, from, to);
    const isText = (kinds & NOT_ASCII) === 0 || isUtf8(source.subarray(from, to));
    let end = at;
    if (!isText) {
      const msg = JSON.stringify(source.toString('utf8', from, to)).slice(1);
      end += target.write(`${msg},"invalid_utf8":true,"raw":"${source.toString('base64', from, to)}"`, at);
    } else {
      if ((kinds & NEEDS_ESCAPE) !== 0) end = putEscaped(target, at, source, from, to);
      else end = copy(target, at, source, from, to);
      target[end] = QUOTE;
      end += 1;
    }
    const recordEnd = isPartial ? PARTIAL_END_BYTES : END_BYTES;
    target.set(recordEnd, end);
    end += recordEnd.length;
    return isText && !isPartial && !isContinued ? body.addObject(target, end, source, from, to) : end;
  },
  addObject(target, end, source, from, to) {
    if (!isObjectLine(source, from, to)) return end;
    const at = end - END_BYTES.length;
    target.set(OBJECT_KEY_BYTES, at);
    const objectEnd = copy(target, at + OBJECT_KEY_BYTES.length, source, from, to);
    target.set(END_BYTES, objectEnd);
    return objectEnd + END_BYTES.length;
  },
};

/** Copies short runs; `copyWithin` is twice as fast as `Buffer.copy` for them. */
function copy(target: Buffer, at: number, source: Buffer, from: number, to: number): number {
  if (source === target) target.copyWithin(at, from, to);
  else source.copy(target, at, from, to);
  return at + (to - from);
}

function kindsOf(bytes: Buffer, from: number, to: number): number {
  let kinds = 0;
  for (let at = from; at < to; at += 1) kinds |= KINDS[bytes[at]!]!;
  return kinds;
}

/** Writes bytes [from, to), which are UTF-8, as the content of a JSON string, RFC 8259; returns the end offset. */
function putEscaped(target: Buffer, out: number, bytes: Buffer, from: number, to: number): number {
  let end = out;
  for (let at = from; at < to; at += 1) {
    const byte = bytes[at]!;
    const escaped = ESCAPES[byte];
    if (escaped) {
      // Short: `set` takes longer.
      for (let index = 0; index < escaped.length; index += 1) target[end + index] = escaped[index]!;
      end += escaped.length;
    } else {
      target[end] = byte;
      end += 1;
    }
  }
  return end;
}
