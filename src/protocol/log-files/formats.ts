/** Table of the log formats. A new format is a file beside this one and a row; the config and all readers follow. */
import { jsonFormat } from './json.ts';
import { LF, type RecordFormat, type RepairOptions } from './record.ts';
import { textFormat } from './text.ts';

/** Formats by the name that the config has for them. */
export const LOG_FORMATS = { text: textFormat, json: jsonFormat } as const satisfies Record<string, RecordFormat>;
export type LogFormat = keyof typeof LOG_FORMATS;

const BY_FIRST_BYTE: readonly (RecordFormat | undefined)[] = Array.from({ length: 256 }, (_, byte) =>
  Object.values(LOG_FORMATS).find(({ firstBytes }) => firstBytes.includes(String.fromCharCode(byte))),
);

/** Format of the record that starts at `at`; undefined for a line of another program. */
function formatAt(bytes: Buffer, at: number): RecordFormat | undefined {
  return BY_FIRST_BYTE[bytes[at]!];
}

/** Format of a record, one character per byte; undefined for a line of another program. */
export function formatOf(record: string): RecordFormat | undefined {
  return BY_FIRST_BYTE[record.charCodeAt(0)];
}

/** Time of the record at `at`, RFC 3339. `otherwise` for one without: a torn record stays with its neighbour. */
export function recordTime(bytes: Buffer, at: number, otherwise: string): string {
  return formatAt(bytes, at)?.time(bytes, at) ?? otherwise;
}

/** Text of the record in [from, to), without its head; the whole line if it is not a record. */
export function recordText(bytes: Buffer, from: number, to: number): string {
  return formatAt(bytes, from)?.text(bytes, from, to) ?? bytes.toString('utf8', from, to);
}

/** Longest end of a file that a repair looks at; the JSON record of a line of 16 MiB has at most that. */
export const MAX_TAIL_BYTES = 128 * 2 ** 20;

/**
 * Bytes that complete what a crash left of a record; none for a whole one. A killed write may stop anywhere, and nothing
 * that was written may be taken back: all that others have read of the file stays true.
 *
 * @param tail end of a file from its last record on: without newline, or with the newline at its very end
 */
export function repairTail(tail: Buffer, options: RepairOptions): Buffer {
  const isTorn = tail.length > 0 && tail.at(-1) !== LF;
  const added = formatAt(tail, 0)?.repair(tail, isTorn, options) ?? (isTorn ? '\n' : '');
  return typeof added === 'string' ? Buffer.from(added, 'latin1') : added;
}
