/** Text for terminals: colours, and output of services without its control characters. */
import pc from 'picocolors';
import stringWidth from 'string-width';
import { errorCode, errorText } from '../../lib/errors.ts';
import { EXIT } from '../exit-codes.ts';

/** Functions that colour a text. */
export type Colors = ReturnType<typeof pc.createColors>;

/** The same functions without effect. */
export const NO_COLORS: Colors = pc.createColors(false);

/** Colours for a stream: on a terminal, if NO_COLOR and TERM allow them. */
export function colorsFor(stream: { readonly isTTY?: boolean }): Colors {
  return pc.createColors(stream.isTTY === true && pc.isColorSupported);
}

/** Form of a text for its reader. */
export interface TextOptions {
  readonly colors: Colors;
  /** Most characters of a line; code and long words may exceed it. Infinity for a file or pipe. */
  readonly columns: number;
}

export function textOptionsFor(stream: { readonly isTTY?: boolean; readonly columns?: number }): TextOptions {
  return { colors: colorsFor(stream), columns: (stream.isTTY && stream.columns) || Number.POSITIVE_INFINITY };
}

/** Lines of a text, broken between words; colours do not count. @param hang indent of a line that goes on */
export function wrap(text: string, columns: number, indent = '', hang = indent): string[] {
  return text.split('\n').flatMap((paragraph) => {
    const lines: string[] = [];
    let width = Number.POSITIVE_INFINITY;
    for (const word of paragraph.split(' ').filter(Boolean)) {
      const wordWidth = stringWidth(word);
      if (lines.length === 0 || width + 1 + wordWidth > columns) {
        const start = lines.length === 0 ? indent : hang;
        lines.push(start + word);
        width = start.length + wordWidth;
      } else {
        lines[lines.length - 1] += ` ${word}`;
        width += 1 + wordWidth;
      }
    }
    return lines;
  });
}

/** Makes a function that pads a word to the width of the longest of `words`. */
export function padderOf(words: readonly string[]): (word: string) => string {
  const width = Math.max(0, ...words.map(({ length }) => length));
  return (word) => word.padEnd(width);
}

/**
 * Ends the process when stdout fails: quietly if its reader has gone away (`monocore logs | head`), else with a message (a
 * full disk).
 */
export function endOnBrokenOutput(): void {
  process.stdout.on('error', (error) => {
    if (errorCode(error) === 'EPIPE') process.exit(EXIT.done);
    process.stderr.write(`monocore: the output cannot be written: ${errorText(error)}\n`);
    process.exit(EXIT.failed);
  });
  // No other stream is left for a message.
  process.stderr.on('error', () => {});
}

const ESC = String.fromCharCode(0x1b);
const RESET = `${ESC}[0m`;
/** A sequence that sets colours (SGR, ECMA-48 section 8.3.117), or a control character (C0, DEL, C1). */
const CONTROL = new RegExp(`${ESC}\\[[\\d;:]*m|\\p{Cc}`, 'gu');

/**
 * The record with every control character in visible form: `\x1b` for escape. Tabs stay, and so do colours, which end with
 * the record. Invalid UTF-8 becomes U+FFFD: single bytes above 0x7f are control characters to some terminals. Argument and
 * result are binary strings.
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

/** The record, which is JSON, with every control character escaped. */
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
