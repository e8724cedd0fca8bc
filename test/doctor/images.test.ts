import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { checkImages } from '../../src/doctor/images.ts';
import { makeTempDir } from '../helpers/temp.ts';
import { writeModules } from '../helpers/vm/kernel-modules.ts';

test('a kernel that lacks what images need is a warning that names it', async (t) => {
  const modulesDir = await makeTempDir(t);
  const kernel = { image: '/boot/vmlinuz-1.2', release: '1.2', modulesDir };
  writeModules(modulesDir, { 'drivers/block/virtio-blk.ko.gz': '', 'fs/other.ko': '' });
  const { state, finding, advice } = checkImages(kernel);
  assert.deepEqual(
    [state, finding],
    ['warning', 'the kernel 1.2 has no erofs, overlay, so no service with an image starts'],
  );
  assert.match(advice!, /package linux-image-/);
  writeModules(modulesDir, { 'fs/erofs/erofs.ko': '' });
  writeFileSync(join(modulesDir, 'modules.builtin'), 'kernel/fs/overlayfs/overlay.ko\n');
  assert.equal(checkImages(kernel).state, 'ok');
  assert.equal(checkImages({ ...kernel, modulesDir: null }).state, 'ok');
});
