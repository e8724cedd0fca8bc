/** Text for terminals: colours where they are wanted, and output of services without control over the terminal. */
import pc from 'picocolors';
import { errorCode, errorText } from '../../lib/errors.ts';
import { EXIT } from '../exit-codes.ts';

/** The functions that colour a text, or leave it as it is. */
export type Colors = ReturnType<typeof pc.createColors>;

/** Colours that do nothing. */
export const NO_COLORS: Colors = pc.createColors(false);

/** Colours for a stream: only on a terminal, and there only if NO_COLOR and TERM allow it. */
export function colorsFor(stream: { readonly isTTY?: boolean }): Colors {
  return pc.createColors(stream.isTTY === true && pc.isColorSupported);
}

/**
 * Ends the process quietly when the reader of its output has gone away (`monocore logs | head`), and with a message
 * when the output cannot be written for another reason (a full disk).
 */
export function endOnBrokenOutput(): void {
  process.stdout.on('error', (error) => {
    if (errorCode(error) === 'EPIPE') process.exit(EXIT.done);
    process.stderr.write(`monocore: the output cannot be written: ${errorText(error)}\n`);
    process.exit(EXIT.failed);
  });
  // Nobody is left to be told.
  process.stderr.on('error', () => {});
}

const ESC = String.fromCharCode(0x1b);
const RESET = `${ESC}[0m`;
/** A sequence that sets colours and the like (SGR, ECMA-48 section 8.3.117), or a control character (C0, DEL, C1). */
const CONTROL = new RegExp(`${ESC}\\[[\\d;:]*m|\\p{Cc}`, 'gu');

/**
 * The record with every control character in visible form, `\x1b` for escape, but for tabs and for colours, which end
 * with the record. What is no UTF-8 becomes U+FFFD: single bytes above 0x7f are control characters to some terminals.
 * Both are binary strings.
 */
export function escapeForTerminal(record: string): string {
  let isColored = false;
  const text = decode(record).replace(CONTROL, (found) => {
    if (found === '\t') return found;
    if (found.length === 1) return `\\x${hexOf(found, 2)}`;
    isColored = true;
    return found;
  });
  return encode(isColored ? text + RESET : text);
}

/** The same JSON without any control character. */
export function escapeForJson(record: string): string {
  return encode(decode(record).replace(/\p{Cc}/gu, (found) => `\\u${hexOf(found, 4)}`));
}

function hexOf(character: string, digits: number): string {
  return character.charCodeAt(0).toString(16).padStart(digits, '0');
}

function decode(record: string): string {
  return Buffer.from(record, 'latin1').toString('utf8');
}

function encode(text: string): string {
  return Buffer.from(text).toString('latin1');
}
