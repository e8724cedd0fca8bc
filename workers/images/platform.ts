/** Choice of the image variant for this host. */
import { MonocoreError } from '../../src/lib/errors.ts';
import type { Platform } from '../../src/protocol/images.ts';
import type { Descriptor, ImageConfig } from './manifest.ts';

/**
 * Variants that a processor runs, the best first, in the order of containerd's `platforms` package: arm64 means v8 by
 * default, and a 32-bit ARM of version 7 runs programs for versions 6 and 5.
 */
const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  arm64: ['v8', ''],
  arm: ['v7', '', 'v6', 'v5'],
  amd64: ['', 'v1'],
};

/**
 * Finds the entry of an index for a platform.
 *
 * @throws MonocoreError `ImageInvalid` without one; the message names the platforms of the index
 */
export function choosePlatform(manifests: readonly Descriptor[], wanted: Platform, what: string): Descriptor {
  const fitting = manifests.filter(
    ({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture,
  );
  for (const variant of variantsFor(wanted)) {
    const found = fitting.find(({ platform }) => (platform?.variant ?? '') === variant);
    if (found) return found;
  }
  const known = manifests.map(({ platform }) => platform).filter((platform) => platform !== undefined);
  // BuildKit's attestations are entries for the platform unknown/unknown.
  const names = [...new Set(known.filter(({ os }) => os !== 'unknown').map(formatPlatform))];
  throw new MonocoreError(
    'ImageInvalid',
    `${what} is not available for ${formatPlatform(wanted)}, only for ${names.join(', ') || 'platforms that it does not name'}`,
  );
}

/** @throws MonocoreError `ImageInvalid` for an image whose config names another platform */
export function checkPlatform({ os, architecture }: ImageConfig, wanted: Platform, what: string): void {
  if ((os || wanted.os) === wanted.os && (architecture || wanted.architecture) === wanted.architecture) return;
  throw new MonocoreError(
    'ImageInvalid',
    `${what} is for ${formatPlatform({ os, architecture })}, not for ${formatPlatform(wanted)}`,
  );
}

/** `linux/arm64/v8`. */
export function formatPlatform(platform: {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | null | undefined;
}): string {
  return [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/');
}

function variantsFor({ architecture, variant }: Platform): readonly string[] {
  const usual = VARIANTS[architecture] ?? [''];
  return variant === null ? usual : [variant, ...usual.slice(Math.max(0, usual.indexOf(variant)))];
}
