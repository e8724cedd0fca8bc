/** The parent of a plain process: see shim/shim.c. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MonocoreError } from '../../lib/errors.ts';

/**
 * Path of the shim for this host, part of the package. Called with `<exit record> <program> <arguments…>` it records how
 * the program ended, even when the daemon is dead, and holds the streams open until somebody has read them. Main thread.
 *
 * @throws MonocoreError `ToolMissing`
 */
export function findShim(): string {
  const shim = fileURLToPath(new URL(`./shim/${process.arch}/monocore-shim`, import.meta.url));
  if (existsSync(shim)) return shim;
  throw new MonocoreError('ToolMissing', `plain processes need x86-64 or aarch64; this host is ${process.arch}`);
}
