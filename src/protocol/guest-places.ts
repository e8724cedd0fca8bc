/** Where in a guest a volume may be: asked when a config is read, and again before a VM is started. */

/** Folders that the guest mounts itself, and with them all that is below. */
const RESERVED = ['/dev', '/proc', '/sys', '/run/secrets'];

/**
 * Why a volume cannot have that place, with what to do about it; null when it can.
 *
 * @param guest an absolute path without `.`, `..` and needless slashes
 */
export function findPlaceFault(guest: string): string | null {
  const remedy = 'choose another folder';
  if (guest === '/') return `the path in the guest must not be its root; ${remedy}`;
  if (guest === '/run') return `the path in the guest must not be /run, which is in memory; ${remedy}`;
  const folder = RESERVED.find((reserved) => guest === reserved || guest.startsWith(`${reserved}/`));
  if (folder === undefined) return null;
  return `the path in the guest must not be in ${folder}, which the guest mounts itself; ${remedy}`;
}
