/** The inside of a JSON string, RFC 8259, from the bytes of a line. */

/** What bytes there are in a piece of text; flags to be combined. */
export const HAS_ESCAPES = 1;
export const HAS_NON_ASCII = 2;

/** Most bytes that one byte becomes: `\u001f`, or U+FFFD in place of a byte that is no UTF-8. */
export const MAX_GROWTH = 6;

const KINDS = new Uint8Array(256);
KINDS.fill(HAS_ESCAPES, 0, 0x20);
KINDS[0x22] = HAS_ESCAPES;
KINDS[0x5c] = HAS_ESCAPES;
KINDS.fill(HAS_NON_ASCII, 0x80);

const ESCAPES: readonly (Buffer | null)[] = Array.from({ length: 256 }, (_, byte) =>
  KINDS[byte] === HAS_ESCAPES ? Buffer.from(JSON.stringify(String.fromCharCode(byte)).slice(1, -1), 'latin1') : null,
);

/** Which kinds of bytes [from, to) has: a sum of flags, 0 for what stands for itself. */
export function kindsOf(bytes: Buffer, from: number, to: number): number {
  let kinds = 0;
  for (let at = from; at < to; at += 1) kinds |= KINDS[bytes[at]!]!;
  return kinds;
}

/** Writes bytes [from, to), which are UTF-8, into `target` at `out`; returns where it ends. */
export function putEscaped(target: Buffer, out: number, bytes: Buffer, from: number, to: number): number {
  let end = out;
  for (let at = from; at < to; at += 1) {
    const byte = bytes[at]!;
    const escaped = ESCAPES[byte];
    if (escaped) {
      target.set(escaped, end);
      end += escaped.length;
    } else {
      target[end] = byte;
      end += 1;
    }
  }
  return end;
}
