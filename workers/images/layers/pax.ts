/**
 * Extended headers of tar: "pax Extended Header" in the utility `pax` of POSIX.1-2017. Read byte by byte, because values
 * of extended attributes are binary and names need not be UTF-8; tar-stream would decode and so destroy them. Pure.
 */

/** Keyword to value, one character per byte; without a prototype, for the keywords come from outside. */
export type PaxRecords = Record<string, string>;

/**
 * Records of the form `<length> <keyword>=<value>\n`, the length being that of the whole record.
 *
 * @throws Error for what does not have that form
 */
export function parsePax(bytes: Buffer): PaxRecords {
  const records: PaxRecords = Object.create(null);
  let start = 0;
  while (start < bytes.length) {
    // Some writers fill the block with zeros that they count in.
    if (bytes[start] === 0) break;
    const space = bytes.indexOf(0x20, start);
    const lengthText = space === -1 ? '' : bytes.toString('latin1', start, space);
    const end = start + Number(lengthText);
    const equals = bytes.indexOf(0x3d, space);
    if (
      !/^[0-9]{1,10}$/.test(lengthText) ||
      end > bytes.length ||
      bytes[end - 1] !== 0x0a ||
      !(equals > space && equals < end)
    ) {
      throw new Error('malformed extended header');
    }
    records[bytes.toString('latin1', space + 1, equals)] = bytes.toString('latin1', equals + 1, end - 1);
    start = end;
  }
  return records;
}

/** A time of a record, decimal seconds since the epoch with a fraction, or null for what is none. */
export function parsePaxTime(text: string): { seconds: number; nanoseconds: number } | null {
  const [, sign, whole, fraction = ''] = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(text) ?? [];
  if (whole === undefined) return null;
  const seconds = Number(whole);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign !== '-') return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: -seconds || 0, nanoseconds: 0 }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds };
}
