/** Limits of layers and the errors for exceeding them. */
import { MonocoreError } from '../../../src/lib/errors.ts';

/** Limits of an image's layers. Exceeding one is an `ImageInvalid` with its name in `details.limit`. */
export interface RootImageLimits {
  /** Most bytes on the disk while it is built, and so of the image; hidden contents of lower layers count. */
  readonly maxImageBytes: number;
  /** Most entries of all layers, whiteouts and directories that only paths name included. */
  readonly maxEntries: number;
}

/** Default of `maxEntries`. An image of a million files took 430 MB of memory while it was built, the process included. */
export const DEFAULT_MAX_ENTRIES = 2_000_000;

/** Longest path of an entry in bytes: `PATH_MAX`, limits.h of Linux. */
export const MAX_PATH_BYTES = 4096;
/** Longest name in bytes: `NAME_MAX`, limits.h of Linux, and `EROFS_NAME_LEN`. */
export const MAX_NAME_BYTES = 255;
/** Longest target of a symlink in bytes, see symlink(2). */
export const MAX_TARGET_BYTES = 4095;
/** Most bytes of all extended attributes of an entry: `XATTR_LIST_MAX`, limits.h of Linux, names and values together. */
export const MAX_XATTR_BYTES = 65_536;
/**
 * Most bytes of names, symlink targets and extended attributes of an image; they stay in memory while it is built.
 * Debian with 8000 files has 0.4 MB of them.
 */
export const MAX_TEXT_BYTES = 256 * 2 ** 20;
/** Largest major and minor number of a device, `new_encode_dev()` of Linux: 12 and 20 bits. */
export const MAX_MAJOR = 0xfff;
export const MAX_MINOR = 0xfffff;
/** Rough size of a tar header with its extensions, granted to each entry of the decompressed layers. */
const HEADER_BYTES = 4096;

/** Name of an exceeded limit, `details.limit` of the error. */
type LimitName = 'image-bytes' | 'entries' | 'layer-bytes' | 'text-bytes' | 'path' | 'name' | 'xattrs';

/** Makes an `ImageInvalid` for a malformed layer. */
export function invalidLayer(message: string, cause?: unknown): MonocoreError {
  return new MonocoreError('ImageInvalid', message, { cause });
}

/** Makes an `ImageInvalid` for an exceeded limit. */
export function limitPassed(limit: LimitName, message: string): MonocoreError {
  return new MonocoreError('ImageInvalid', message, { details: { limit } });
}

/** Most bytes of all layers together when decompressed, kept or not: decompression ends there. */
export function maxLayerBytes({ maxImageBytes, maxEntries }: RootImageLimits): number {
  return maxImageBytes + maxEntries * HEADER_BYTES;
}

/** Escapes a byte string for a message: printable ASCII stays, other bytes become `\xNN`, at most 200 characters. */
export function showBytes(bytes: string): string {
  const text = bytes.replace(
    /[^\x20-\x5b\x5d-\x7e]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
