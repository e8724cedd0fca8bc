/**
 * Makes a record of what a crash left of one. A write that is killed may stop anywhere, and nothing that was written may
 * be taken back: whatever is added, what others have read of the file stays true.
 */
import { isUtf8 } from 'node:buffer';
import { isoTime } from '../../../src/lib/clock.ts';
import { JSON_PARTIAL_END, jsonPrefix, LF, textLabel } from '../format/framer.ts';
import type { StreamId } from './file-names.ts';

/** Longest end of a file that is looked at; a JSON record of a line with 16 MiB has at most that. */
export const MAX_TAIL_BYTES = 128 * 2 ** 20;

const NEWLINE = Buffer.from([LF]);
const BRACE = 0x7b;
/** Ends of a character of UTF-8 that was cut, see the table in RFC 3629, section 4. */
const CHARACTER_ENDS = [[], [0x80], [0x80, 0x80], [0x80, 0x80, 0x80], [0xa0, 0x80], [0x90, 0x80, 0x80]];
/** Where a JSON record may have been cut: behind a value, in a string, in an escape, in a key. Each is what closes it. */
const JSON_ENDS = [
  ...['', '"', '\\"', '0"', '00"', '000"', '0000"'],
  ...tailsOf(',"invalid_utf8":true').slice(1),
  ...tailsOf(',"raw":""').slice(1),
];
const JSON_PARTIAL_ENDS = tailsOf(',"partial":true').slice(1);

/** What to add to a file so that it ends in a whole record. */
export interface MendOptions {
  readonly id: StreamId;
  /** The stream that wrote the file goes on: the line of the last record is continued by what it brings next. */
  readonly continues: boolean;
  readonly nowMs: number;
}

/**
 * The bytes to add behind `tail`, none when all is well.
 *
 * @param tail end of a file from the last record on: one without newline, or with the newline at its very end
 */
export function mendTail(tail: Buffer, options: MendOptions): Buffer {
  const isTorn = tail.length > 0 && tail.at(-1) !== LF;
  if (tail[0] === BRACE) return isTorn ? mendJson(tail, options) : endJsonLine(tail, options);
  return isTorn ? mendText(tail, options) : Buffer.alloc(0);
}

function mendText(tail: Buffer, { id, nowMs }: MendOptions): Buffer {
  for (const isContinued of [false, true]) {
    const prefix = Buffer.from(isoTime(nowMs) + textLabel(id, isContinued), 'latin1');
    const isInPrefix =
      tail.length < prefix.length && digitsAside(prefix.subarray(0, tail.length)) === digitsAside(tail);
    if (isInPrefix) return Buffer.concat([prefix.subarray(tail.length), NEWLINE]);
  }
  return NEWLINE;
}

/** The text with every digit as 0: times look alike then. */
function digitsAside(bytes: Buffer): string {
  return bytes.toString('latin1').replaceAll(/\d/g, '0');
}

function mendJson(tail: Buffer, options: MendOptions): Buffer {
  const prefix = Buffer.from(jsonPrefix(options.id, options.nowMs), 'latin1');
  if (tail.length < prefix.length) {
    return Buffer.concat([prefix.subarray(tail.length), Buffer.from(`"${tornEnd(options)}`)]);
  }
  for (const characterEnd of CHARACTER_ENDS) {
    const bytes = Buffer.concat([tail, Buffer.from(characterEnd)]);
    if (isUtf8(bytes))
      return Buffer.concat([Buffer.from(characterEnd), Buffer.from(closeJson(bytes.toString(), options))]);
  }
  return NEWLINE;
}

function closeJson(text: string, options: MendOptions): string {
  // Cut right before its newline, it is whole.
  if (isJson(text)) return '\n';
  const end = tornEnd(options);
  const closing = JSON_ENDS.find((candidate) => isJson(text + candidate + end));
  if (closing !== undefined) return closing + end;
  if (isJson(text + end.slice(1))) return end.slice(1);
  const partial = JSON_PARTIAL_ENDS.find((candidate) => isJson(`${text + candidate}}`));
  if (partial === undefined) return '\n';
  return options.continues ? `${partial}}\n` : `${partial}}\n${emptyRecord(options)}`;
}

function tornEnd({ continues }: MendOptions): string {
  return `,"torn":true${continues ? `,${JSON_PARTIAL_END}` : '}\n'}`;
}

function emptyRecord({ id, nowMs }: MendOptions): string {
  return `${jsonPrefix(id, nowMs)}"}\n`;
}

/** A line of which the rest will never come ends here. */
function endJsonLine(tail: Buffer, options: MendOptions): Buffer {
  const isPartial = tail.subarray(-JSON_PARTIAL_END.length).equals(Buffer.from(JSON_PARTIAL_END));
  return Buffer.from(isPartial && !options.continues ? emptyRecord(options) : '', 'latin1');
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** `bc` and `c` for `abc`. */
function tailsOf(text: string): string[] {
  return Array.from({ length: text.length }, (_, index) => text.slice(index + 1));
}
