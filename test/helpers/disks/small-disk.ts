import { execFileSync } from 'node:child_process';
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { TEMP_PREFIX } from '../temp.ts';

/** A file system of its own, unmounted when the test has ended. Needs root, like the VMs with a root directory. */
export async function mountSmallDisk(t: TestContext, options = 'size=1m'): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), TEMP_PREFIX));
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', dir]);
  t.after(async () => {
    execFileSync('umount', ['--lazy', dir]);
    await rmdir(dir);
  });
  return dir;
}
