import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { defer, makeTempDir, TEMP_PREFIX } from '../temp.ts';

/** A disk that can be made to keep every writer waiting, as one that does not answer. Needs root. */
export async function mountFreezableDisk(t: TestContext) {
  const image = join(await makeTempDir(t), 'disk.img');
  const dir = mkdtempSync(join(tmpdir(), TEMP_PREFIX));
  writeFileSync(image, '');
  truncateSync(image, 16 * 2 ** 20);
  execFileSync('mkfs.ext4', ['-q', '-F', image]);
  execFileSync('mount', ['-o', 'loop', image, dir]);
  let isFrozen = false;
  const set = (frozen: boolean) => {
    if (frozen !== isFrozen) execFileSync('fsfreeze', [frozen ? '--freeze' : '--unfreeze', dir]);
    isFrozen = frozen;
  };
  defer(t, () => {
    set(false);
    execFileSync('umount', ['--lazy', dir]);
    rmdirSync(dir);
  });
  return { dir, freeze: () => set(true), thaw: () => set(false) };
}
