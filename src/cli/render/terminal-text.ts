/** Text for terminals: colours, wrapping, and masked control characters. */
import pc from 'picocolors';
import stringWidth from 'string-width';
import { DIRECTIONS, escapeJson } from '../../lib/control-characters.ts';
import { errorCode, errorText } from '../../lib/errors.ts';
import { EXIT } from '../exit-codes.ts';

/** Functions that colour a text. */
export type Colors = ReturnType<typeof pc.createColors>;

/** Colour functions that do nothing. */
export const NO_COLORS: Colors = pc.createColors(false);

/** Colour functions for a stream: active on a terminal if NO_COLOR and TERM allow it. */
export function colorsFor(stream: { readonly isTTY?: boolean }): Colors {
  return pc.createColors(stream.isTTY === true && pc.isColorSupported);
}

/** Formatting options for the output device. */
export interface TextOptions {
  readonly colors: Colors;
  /** Maximum length of a line; code and long words may exceed it. Infinity for a file or pipe. */
  readonly columns: number;
}

export function textOptionsFor(stream: { readonly isTTY?: boolean; readonly columns?: number }): TextOptions {
  return { colors: colorsFor(stream), columns: (stream.isTTY && stream.columns) || Number.POSITIVE_INFINITY };
}

/** Breaks a text into lines between words; colour sequences do not count. @param hang indent of continuation lines */
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

/** Breaks a line of output wherever the terminal ends, so that all of its characters stay; indents each part. */
export function fold(line: string, columns: number, indent: string): string[] {
  const room = Math.max(1, columns - indent.length);
  const parts = [''];
  let width = 0;
  for (const character of line.replaceAll('\t', '  ')) {
    const characterWidth = stringWidth(character);
    if (width + characterWidth > room) {
      parts.push('');
      width = 0;
    }
    parts[parts.length - 1] += character;
    width += characterWidth;
  }
  return parts.map((part) => indent + part);
}

/** Makes a function that pads a word to the width of the longest of `words`. */
export function padderOf(words: readonly string[]): (word: string) => string {
  const width = Math.max(0, ...words.map(({ length }) => length));
  return (word) => word.padEnd(width);
}

/**
 * Ends the process when writing to stdout fails: quietly if its reader has gone (`monocore logs | head`), otherwise
 * with a message (full disk).
 */
export function endOnBrokenOutput(): void {
  process.stdout.on('error', (error) => {
    if (errorCode(error) === 'EPIPE') process.exit(EXIT.done);
    process.stderr.write(`monocore: the output cannot be written: ${errorText(error)}\n`);
    process.exit(EXIT.failed);
  });
  // There is no other stream left to report to.
  process.stderr.on('error', () => {});
}

const ESC = String.fromCharCode(0x1b);
const RESET = `${ESC}[0m`;
/** Colour sequence (SGR, ECMA-48 section 8.3.117), control character (C0, DEL, C1) or direction of text. */
const CONTROL = new RegExp(`${ESC}\\[[\\d;:]*m|\\p{Cc}|[${DIRECTIONS}]`, 'gu');

/**
 * Makes every control character of a record visible: `\x1b` for escape, `\u202e` for a change of direction. Tabs stay,
 * and so do colours, which are reset at the end of the record. Invalid UTF-8 becomes U+FFFD, because some terminals interpret single bytes above 0x7f as
 * control characters. Argument and result are binary strings.
 */
export function escapeForTerminal(record: string): string {
  let isColored = false;
  const text = decode(record).replace(CONTROL, (found) => {
    if (found === '\t') return found;
    if (found.length === 1) return escapeOf(found);
    isColored = true;
    return found;
  });
  return encode(isColored ? text + RESET : text);
}

/** Escapes every control character in a record that is JSON. */
export function escapeForJson(record: string): string {
  return encode(escapeJson(decode(record)));
}

function escapeOf(character: string): string {
  const code = character.charCodeAt(0);
  return code > 0xff ? `\\u${code.toString(16).padStart(4, '0')}` : `\\x${code.toString(16).padStart(2, '0')}`;
}

function decode(record: string): string {
  return Buffer.from(record, 'latin1').toString('utf8');
}

function encode(text: string): string {
  return Buffer.from(text).toString('latin1');
}
