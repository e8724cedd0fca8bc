/** What a layer may ask for before it is refused, and the errors that say so. */
import { MonocoreError } from '../../../src/lib/errors.ts';
import type { RootImageLimits } from '../rootfs/source.ts';

/** Longest path of an entry in bytes: `PATH_MAX`, limits.h of Linux. */
export const MAX_PATH_BYTES = 4096;
/** Longest name in bytes: `NAME_MAX`, limits.h of Linux, and `EROFS_NAME_LEN`. */
export const MAX_NAME_BYTES = 255;
/** Longest target of a symlink in bytes: what symlink(2) takes. */
export const MAX_TARGET_BYTES = 4095;
/** Most bytes of all extended attributes of an entry: `XATTR_LIST_MAX`, limits.h of Linux, names and values together. */
export const MAX_XATTR_BYTES = 65_536;
/**
 * Most bytes of names, symlink targets and extended attributes of an image: they are held in memory while it is built.
 * Debian with 8000 files has 0.4 MB of them.
 */
export const MAX_TEXT_BYTES = 256 * 2 ** 20;
/** Largest major and minor number of a device, `new_encode_dev()` of Linux: 12 and 20 bits. */
export const MAX_MAJOR = 0xfff;
export const MAX_MINOR = 0xfffff;
/** What a tar header with its extensions takes, roughly: the decompressed layers may have that for each entry. */
const HEADER_BYTES = 4096;

/** Which limit was passed; `details.limit` of the error. */
export type LimitName = 'image-bytes' | 'entries' | 'layer-bytes' | 'text-bytes' | 'path' | 'name' | 'xattrs';

/** An `ImageInvalid` for a layer that is malformed or asks for what no image may have. */
export function invalidLayer(message: string, cause?: unknown): MonocoreError {
  return new MonocoreError('ImageInvalid', message, { cause });
}

/** An `ImageInvalid` for a layer that passed a limit. */
export function limitPassed(limit: LimitName, message: string): MonocoreError {
  return new MonocoreError('ImageInvalid', message, { details: { limit } });
}

/** Most bytes that all layers may have when decompressed, whether or not any of it is kept: decompression ends there. */
export function maxLayerBytes({ maxImageBytes, maxEntries }: RootImageLimits): number {
  return maxImageBytes + maxEntries * HEADER_BYTES;
}

/** A byte string of a layer for a message: what is not printable ASCII as `\xNN`, and not longer than 200 characters. */
export function showBytes(bytes: string): string {
  const text = bytes.replace(
    /[^\x20-\x5b\x5d-\x7e]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
