/**
 * Extended attributes stored after an EROFS inode: `erofs_xattr_ibody_header` and `erofs_xattr_entry` in
 * fs/erofs/erofs_fs.h of Linux. Pure.
 */
import { limitExceeded, MAX_NAME_BYTES, MAX_XATTR_BYTES, showBytes } from '../limits.ts';

/** Prefixes that EROFS encodes as a number, `EROFS_XATTR_INDEX_…`; it supports no others. */
const PREFIXES: readonly (readonly [prefix: string, index: number])[] = [
  ['user.', 1],
  ['system.posix_acl_access', 2],
  ['system.posix_acl_default', 3],
  ['trusted.', 4],
  ['security.', 6],
];
/** Prefix of attributes that the guest's overlayfs would interpret: they hide or redirect files of lower layers. */
const OVERLAY_PREFIX = 'trusted.overlay.';
const HEADER_BYTES = 12;
const ENTRY_BYTES = 4;

/**
 * Encodes attributes, sorted by name, except those of overlayfs and those that EROFS does not support (`com.apple.…`).
 *
 * @param attributes name and value, one character per byte
 * @returns null if none is left
 * @throws MonocoreError `ImageInvalid` for names or values that Linux does not allow
 */
export function renderXattrs(
  attributes: readonly (readonly [name: string, value: string])[],
  path: string,
): Buffer | null {
  const entries: Buffer[] = [];
  let totalBytes = 0;
  for (const [name, value] of attributes.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    totalBytes += name.length + value.length;
    if (name.length > MAX_NAME_BYTES || value.length >= MAX_XATTR_BYTES || totalBytes > MAX_XATTR_BYTES) {
      throw limitExceeded('xattrs', `extended attributes of ${showBytes(path)} are too long: ${showBytes(name)}`);
    }
    const [prefix, index] = PREFIXES.find(([start]) => name.startsWith(start)) ?? [];
    if (prefix === undefined || index === undefined || name.startsWith(OVERLAY_PREFIX)) continue;
    entries.push(renderEntry(index, name.slice(prefix.length), value));
  }
  return entries.length === 0 ? null : Buffer.concat([Buffer.alloc(HEADER_BYTES), ...entries]);
}

/** `i_xattr_icount`: 1 for the header plus 1 for each 4 bytes after it. */
export function xattrCount(xattrs: Buffer | null): number {
  return xattrs === null ? 0 : (xattrs.length - HEADER_BYTES) / 4 + 1;
}

function renderEntry(index: number, name: string, value: string): Buffer {
  const length = ENTRY_BYTES + name.length + value.length;
  const entry = Buffer.alloc(Math.ceil(length / 4) * 4);
  entry.writeUInt8(name.length, 0);
  entry.writeUInt8(index, 1);
  entry.writeUInt16LE(value.length, 2);
  entry.write(name, ENTRY_BYTES, 'latin1');
  entry.write(value, ENTRY_BYTES + name.length, 'latin1');
  return entry;
}
