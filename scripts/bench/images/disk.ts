/** Disk space that twenty services of one image take before they write: its root once, and an empty disk each. */
import { execFileSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import { Images } from '../../../src/images/image-jobs.ts';
import { ServiceImages } from '../../../src/images/service-images.ts';
import { formatSize } from '../../../src/lib/units.ts';
import { DEFAULT_IMAGE_SETTINGS } from '../../../src/protocol/images.ts';
import { HomePaths } from '../../../src/state/paths.ts';
import { JobPool } from '../../../src/threads/job-pool.ts';
import { prepareDisk } from '../../../src/vm/host/disk.ts';
import { makeImage, makeTar } from '../../../test/helpers/images/images.ts';
import { startRegistry } from '../../../test/helpers/servers/registry.ts';
import { makeTempDir } from '../../../test/helpers/temp.ts';
import { round } from './median.ts';

const SERVICES = 20;
const ROOT_BYTES = 100 * 2 ** 20;
const DISK_MIB = 1024;

/** Bytes of the disk below a folder. */
function usedBytes(dir: string): number {
  return Number(execFileSync('du', ['-s', '-B1', dir], { encoding: 'utf8' }).split('\t')[0]);
}

export async function measureDisk(lifetime: TestContext) {
  const registry = await startRegistry(lifetime);
  registry.add('app', 'latest', makeImage({ layers: [await makeTar([['data', Buffer.alloc(ROOT_BYTES, 'data')]])] }));
  const paths = new HomePaths(await makeTempDir(lifetime));
  const pool = new JobPool();
  lifetime.after(() => pool.close());
  const images = new ServiceImages(new Images(pool, paths), paths.images);
  images.configure({ ...DEFAULT_IMAGE_SETTINGS, insecure_registries: [registry.host] });
  const request = { digest: null, signal: new AbortController().signal, onProgress: () => {} };
  for (let number = 1; number <= SERVICES; number += 1) {
    await images.fetch({ name: `${registry.host}/app`, ...request });
    await prepareDisk(paths.disk(`web-${number}`), DISK_MIB, `web-${number}`);
  }
  const ownBytes = usedBytes(paths.images.rootsDir) + usedBytes(paths.diskDir);
  const copiesBytes = SERVICES * usedBytes(paths.images.rootsDir);
  return { own: formatSize(ownBytes), copies: formatSize(copiesBytes), ratio: round(ownBytes / copiesBytes) };
}
