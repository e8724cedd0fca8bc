/**
 * Headers of tar archives: the ustar block and the extended header of POSIX.1-2017 (utility `pax`), with GNU's base-256
 * numbers and long names. Texts are byte strings, one character per byte: names need not be UTF-8, and extended
 * attributes are binary. Pure.
 *
 * The classes of the package tar are not used: `Header` decodes names as UTF-8, drops the device numbers of GNU
 * archives, treats a malformed number as a missing one and takes ten times as long; `Pax` drops extended attributes and
 * values that contain a newline.
 */

export const BLOCK_BYTES = 512;

/** Types of entries, and of headers that extend the next entry. */
const TYPES = {
  '\0': 'file',
  '0': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'characterDevice',
  '4': 'blockDevice',
  '5': 'directory',
  '6': 'fifo',
  // Contiguous file.
  '7': 'file',
  x: 'pax',
  g: 'pax-global',
  L: 'gnu-name',
  N: 'gnu-name',
  K: 'gnu-linkname',
} as const;
type TarType = (typeof TYPES)[keyof typeof TYPES];

/** Entry as described by its header. A malformed number is NaN. */
export interface TarHeader {
  readonly name: string;
  /** Empty for an entry that is not a link. */
  readonly linkname: string;
  /** Null for unsupported types, for example sparse files. */
  readonly type: TarType | null;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds since the epoch. */
  readonly mtimeS: number;
  readonly devmajor: number;
  readonly devminor: number;
}

/** Parses a block; null for a block of zeros. @throws Error if the checksum is wrong */
export function parseHeader(block: Buffer): TarHeader | null {
  // The checksum field itself counts as eight blanks.
  let sum = 8 * 0x20;
  for (let index = 0; index < 148; index += 1) sum += block[index]!;
  for (let index = 156; index < BLOCK_BYTES; index += 1) sum += block[index]!;
  if (sum === 8 * 0x20) return null;
  if (sum !== parseNumber(block, 148, 8)) throw new Error('not a tar header: its checksum is wrong');
  // GNU and star use the prefix field for other purposes.
  const prefix = block.toString('latin1', 257, 263) === 'ustar\0' ? parseText(block, 345, 155) : '';
  const name = parseText(block, 0, 100);
  const typeFlag = block.toString('latin1', 156, 157);
  const type = typeFlag in TYPES ? TYPES[typeFlag as keyof typeof TYPES] : null;
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    linkname: parseText(block, 157, 100),
    // Archives older than POSIX mark directories by a trailing slash.
    type: type === 'file' && name.endsWith('/') ? 'directory' : type,
    mode: parseNumber(block, 100, 8),
    uid: parseNumber(block, 108, 8),
    gid: parseNumber(block, 116, 8),
    size: parseNumber(block, 124, 12),
    mtimeS: parseNumber(block, 136, 12),
    devmajor: parseNumber(block, 329, 8),
    devminor: parseNumber(block, 337, 8),
  };
}

/** Text up to its first NUL. */
export function parseText(bytes: Buffer, start = 0, length = bytes.length): string {
  const zero = bytes.indexOf(0, start);
  return bytes.toString('latin1', start, zero === -1 ? start + length : Math.min(zero, start + length));
}

/** Parses octal digits surrounded by blanks and NULs, or base 256 if the first bit is set. A blank field is 0. */
function parseNumber(block: Buffer, start: number, length: number): number {
  const first = block[start]!;
  if (first >= 0x80) return parseBase256(block, start, length);
  let value = 0;
  let isBegun = false;
  for (let index = start; index < start + length; index += 1) {
    const digit = block[index]! - 0x30;
    if (digit >= 0 && digit < 8) {
      value = value * 8 + digit;
      isBegun = true;
    } else if (block[index] !== 0x20 && block[index] !== 0) return Number.NaN;
    else if (isBegun) break;
  }
  return value;
}

/** Parses a big-endian two's complement number, whose first bit only marks the encoding. */
function parseBase256(block: Buffer, start: number, length: number): number {
  const first = block[start]! & 0x7f;
  let value = first & 0x40 ? first - 0x80 : first;
  for (let index = start + 1; index < start + length; index += 1) value = value * 256 + block[index]!;
  return value;
}

/** Values by keyword; without a prototype, because the keywords come from outside. */
export type PaxRecords = Readonly<Record<string, string>>;

/**
 * Parses records of the form `<length> <keyword>=<value>\n`, where the length is that of the whole record.
 *
 * @throws Error for bytes in any other form
 */
export function parsePax(bytes: Buffer): PaxRecords {
  const records: Record<string, string> = Object.create(null);
  let start = 0;
  while (start < bytes.length) {
    // Some writers fill the block with zeros and include them in its size.
    if (bytes[start] === 0) break;
    const space = bytes.indexOf(0x20, start);
    const lengthText = space === -1 ? '' : bytes.toString('latin1', start, space);
    const end = start + Number(lengthText);
    const equals = bytes.indexOf(0x3d, space);
    const isWhole = /^[0-9]{1,10}$/.test(lengthText) && end <= bytes.length && bytes[end - 1] === 0x0a;
    if (!isWhole || equals <= space || equals >= end) throw new Error('malformed extended header');
    records[bytes.toString('latin1', space + 1, equals)] = bytes.toString('latin1', equals + 1, end - 1);
    start = end;
  }
  return records;
}

/** Parses a time in a record, decimal seconds since the epoch with a fraction; null for any other text. */
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
