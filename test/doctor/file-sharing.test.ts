import assert from 'node:assert/strict';
import test from 'node:test';
import { checkFileSharing } from '../../src/doctor/file-sharing.ts';

test('root that may make mount namespaces can share files', async () => {
  const { state, finding, advice } = await checkFileSharing(0);
  assert.deepEqual([state, advice], ['ok', null]);
  assert.match(finding, /virtiofsd, for rootfs and volumes; guests see changes of the host (at once|within a second)$/);
});

test('another user is told that it takes root', async () => {
  const { state, finding, advice } = await checkFileSharing(1000);
  assert.equal(state, 'warning');
  assert.match(finding, /but only root can share files$/);
  assert.match(advice!, /start the daemon as root/);
});

test('a host that allows no mount namespace is told so with the reason', async () => {
  const { state, finding, advice } = await checkFileSharing(0, ['sh', '-c', 'echo "unshare failed: no" >&2; exit 1']);
  assert.deepEqual([state, finding], ['warning', 'no mount namespace can be made: unshare failed: no']);
  assert.match(advice!, /CAP_SYS_ADMIN/);
});
