/**
 * Table of the log formats. To add a format, add a file beside this one and a row; the config and all readers use the
 * table.
 */
import { jsonFormat } from './json.ts';
import { LF, type RecordFormat, type RepairOptions } from './record.ts';
import { textFormat } from './text.ts';

/** Formats by their name in the config. */
export const LOG_FORMATS = { text: textFormat, json: jsonFormat } as const satisfies Record<string, RecordFormat>;
export type LogFormat = keyof typeof LOG_FORMATS;

const BY_FIRST_BYTE: readonly (RecordFormat | undefined)[] = Array.from({ length: 256 }, (_, byte) =>
  Object.values(LOG_FORMATS).find(({ firstBytes }) => firstBytes.includes(String.fromCharCode(byte))),
);

/** Format of the record that starts at `at`; undefined for a line that monocore did not write. */
function formatAt(bytes: Buffer, at: number): RecordFormat | undefined {
  return BY_FIRST_BYTE[bytes[at]!];
}

/** Format of a record, one character per byte; undefined for a line that monocore did not write. */
export function formatOf(record: string): RecordFormat | undefined {
  return BY_FIRST_BYTE[record.charCodeAt(0)];
}

/**
 * RFC 3339 time of the record at `at`; `otherwise` if it has none, so that a torn record stays next to its neighbour.
 */
export function recordTime(bytes: Buffer, at: number, otherwise: string): string {
  return formatAt(bytes, at)?.time(bytes, at) ?? otherwise;
}

/** Text of the record in [from, to) without its head; the whole line if it is not a record. */
export function recordText(bytes: Buffer, from: number, to: number): string {
  return formatAt(bytes, from)?.text(bytes, from, to) ?? bytes.toString('utf8', from, to);
}

/** Maximum number of bytes at the end of a file that a repair examines; the JSON record of a 16 MiB line fits. */
export const MAX_TAIL_BYTES = 128 * 2 ** 20;

/**
 * Bytes that complete the partial record that a crash left behind; empty if the record is complete. A killed write may
 * stop anywhere, and what has been written must not be taken back, because others may have read it.
 *
 * @param tail end of a file, starting with its last record; without a newline, or with one at its very end
 */
export function repairTail(tail: Buffer, options: RepairOptions): Buffer {
  const isTorn = tail.length > 0 && tail.at(-1) !== LF;
  const added = formatAt(tail, 0)?.repair(tail, isTorn, options) ?? (isTorn ? '\n' : '');
  return typeof added === 'string' ? Buffer.from(added, 'latin1') : added;
}
