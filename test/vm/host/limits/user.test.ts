import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';
import { findUser, renderUserEnvironment } from '../../../../src/vm/host/limits/user.ts';

/** A user that every Debian has, and that owns nothing. */
const NOBODY = Number(execFileSync('id', ['-u', 'nobody'], { encoding: 'utf8' }));

test('a user is found by name and by number', async () => {
  const byName = await findUser('nobody');
  assert.equal(byName?.uid, NOBODY);
  assert.ok(byName.groups.includes(byName.gid));
  assert.deepEqual(await findUser(String(NOBODY)), byName);
  assert.deepEqual(renderUserEnvironment(byName), { HOME: byName.home, USER: 'nobody', LOGNAME: 'nobody' });
});

test('the daemon’s own user is nothing to switch to, whoever it is', async () => {
  assert.equal(await findUser(null), null);
  assert.equal(await findUser(String(process.getuid?.())), null);
  assert.equal(await findUser('nobody', NOBODY), null);
  assert.deepEqual(renderUserEnvironment(null), {});
});

test('a user that does not exist is refused, and so is any other where the daemon is not root', async () => {
  const code = 'StartFailed';
  await assert.rejects(findUser('no-such-user'), {
    code,
    message: 'the user no-such-user does not exist on this host',
  });
  await assert.rejects(findUser('4294967294'), { code });
  await assert.rejects(findUser('root', NOBODY), {
    code,
    message: 'the daemon does not run as root and cannot switch to the user root; start it as root, or leave user out',
  });
});
