import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { findKernel } from '../../../src/vm/guest/kernel.ts';
import { makeTempDir } from '../../helpers/temp.ts';

/** A folder with `boot` and `lib/modules`, as packages of kernels unpack to. */
async function makeTree(t: TestContext, images: readonly string[], releasesWithModules: readonly string[] = []) {
  const dir = await makeTempDir(t);
  mkdirSync(join(dir, 'boot'));
  for (const image of images) writeFileSync(join(dir, 'boot', image), '');
  for (const release of releasesWithModules) mkdirSync(join(dir, 'lib/modules', release), { recursive: true });
  return dir;
}

test('the newest kernel of the home is taken, by number and not by letter', async (t) => {
  const images = ['vmlinuz-6.1.0-9-cloud', 'vmlinuz-6.1.0-10-cloud', 'vmlinuz-5.10.0-40-cloud', 'config-9.9.9'];
  const dir = await makeTree(t, images, ['6.1.0-10-cloud']);
  assert.deepEqual(findKernel(null, dir, 'x86_64', '/nonexistent'), {
    image: join(dir, 'boot/vmlinuz-6.1.0-10-cloud'),
    release: '6.1.0-10-cloud',
    modulesDir: join(dir, 'lib/modules/6.1.0-10-cloud'),
  });
});

test('without a kernel in the home the host’s newest is taken that has modules', async (t) => {
  const host = await makeTree(t, ['vmlinuz-6.1.0-2', 'vmlinuz-6.1.0-1'], ['6.1.0-1']);
  const home = await makeTempDir(t);
  assert.equal(findKernel(null, home, 'x86_64', join(host, 'boot')).release, '6.1.0-1');
});

test('the kernel of the config comes first, whatever it is called', async (t) => {
  const dir = await makeTree(t, ['vmlinuz-6.1.0-1', 'my-kernel'], ['6.1.0-1']);
  const image = join(dir, 'boot/my-kernel');
  assert.throws(
    () => findKernel(image, dir, 'x86_64'),
    /my-kernel is not a kernel for x86_64; name a vmlinuz or bzImage/,
  );
  writeFileSync(image, `${'\0'.repeat(0x202)}HdrS`);
  assert.deepEqual(findKernel(image, dir, 'x86_64'), { image, release: 'my-kernel', modulesDir: null });
});

test('a kernel that cannot be read, and none at all, name what to do', async (t) => {
  assert.throws(() => findKernel('/nonexistent/vmlinuz', '/nonexistent', 'x86_64'), {
    code: 'ToolMissing',
    message: 'the kernel /nonexistent/vmlinuz is not a file that can be read; name another',
  });
  const empty = await makeTempDir(t);
  assert.throws(() => findKernel(empty, '/nonexistent', 'x86_64'), { code: 'ToolMissing', message: /is not a file/ });
  assert.throws(() => findKernel(null, empty, 'aarch64', empty), {
    code: 'ToolMissing',
    message: /run monocore setup,.*linux-image-cloud-arm64/,
    details: { package: 'linux-image-cloud-arm64' },
  });
});
