import { chmodSync, cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { findStaticBusybox } from '../../../src/vm/host/host-tools.ts';

/** Makes of an empty folder a root directory with a busybox, and programs that are links to it. */
export function makeRoot(dir: string, programs: readonly string[]): void {
  mkdirSync(join(dir, 'bin'));
  cpSync(findStaticBusybox(), join(dir, 'bin/busybox'));
  for (const program of programs) symlinkSync('busybox', join(dir, 'bin', program));
  chmodSync(dir, 0o755);
}
