/** Limits for images, and errors for images that exceed them or are malformed. */
import { errorCode, errorText, MonocoreError } from '../../src/lib/errors.ts';

/** Limits for an image's layers. Exceeding one throws `ImageInvalid` with the name of the limit in `details.limit`. */
export interface RootImageLimits {
  /** Maximum bytes on disk during the build, and thus of the image; hidden contents of lower layers count. */
  readonly maxImageBytes: number;
  /** Maximum number of entries in all layers, including whiteouts and directories that are only part of a path. */
  readonly maxEntries: number;
}

/** Maximum length of an entry's path in bytes: `PATH_MAX`, limits.h of Linux. */
export const MAX_PATH_BYTES = 4096;
/** Maximum length of a name in bytes: `NAME_MAX`, limits.h of Linux, and `EROFS_NAME_LEN`. */
export const MAX_NAME_BYTES = 255;
/**
 * Maximum bytes of all extended attributes of an entry: `XATTR_LIST_MAX`, limits.h of Linux, names and values together.
 */
export const MAX_XATTR_BYTES = 65_536;
/**
 * Maximum bytes of all names, symlink targets and extended attributes of an image, which stay in memory during the
 * build. Debian with 8000 files has 0.4 MB of them.
 */
export const MAX_TEXT_BYTES = 256 * 2 ** 20;

export function invalidImage(message: string, options?: { cause?: unknown; details?: unknown }): MonocoreError {
  return new MonocoreError('ImageInvalid', message, options);
}

/** Error for content that cannot be read: it is malformed, unless the error is a system error such as `ENOSPC`. */
export function asContentError(error: unknown, what: string): unknown {
  if (error instanceof MonocoreError || /^E[A-Z0-9]+$/.test(errorCode(error) ?? '')) return error;
  return invalidImage(`${what}: ${errorText(error)}`, { cause: error });
}

type LimitName = 'image-bytes' | 'entries' | 'layer-bytes' | 'text-bytes' | 'path' | 'name' | 'xattrs';

export function limitExceeded(limit: LimitName, message: string): MonocoreError {
  return invalidImage(message, { details: { limit } });
}

/**
 * Escapes a byte string for a message: printable ASCII is unchanged, other bytes become `\xNN`; at most 200 characters.
 */
export function showBytes(bytes: string): string {
  const toHex = (character: string) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  const text = bytes.replace(/[^\x20-\x5b\x5d-\x7e]/g, toHex);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
