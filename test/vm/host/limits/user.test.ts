import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import {
  checkUserMayRun,
  findUser,
  renderUserEnvironment,
  renderUserSwitch,
} from '../../../../src/vm/host/limits/user.ts';
import { writeProgram } from '../../../helpers/processes/program.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

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

test('nothing stands before a program that keeps its user', () => {
  assert.deepEqual(renderUserSwitch(null), []);
});

test('a program behind the switch has the user, all of its groups and no capability', async () => {
  const user = { ...(await findUser('nobody'))!, groups: [65534, 4, 20] };
  const [setpriv, ...args] = renderUserSwitch(user);
  // As where the daemon's own program was given capabilities to inherit.
  const inheriting = [setpriv!, '--inh-caps=+chown', '--', setpriv!, ...args];
  const show = (...command: string[]) =>
    execFileSync(inheriting[0]!, [...inheriting.slice(1), ...command], { encoding: 'utf8' }).trim();
  assert.equal(show('id', '-u'), String(user.uid));
  assert.equal(show('id', '-g'), String(user.gid));
  assert.deepEqual(new Set(show('id', '-G').split(' ')), new Set(['65534', '4', '20']));
  assert.match(show('grep', '-E', 'Cap(Inh|Prm|Eff)', '/proc/self/status'), /^(Cap\w+:\s+0+\n?){3}$/);
});

test('what the user cannot reach is known before anything runs', async (t) => {
  const dir = await makeTempDir(t);
  chmodSync(dir, 0o755);
  const secret = join(dir, 'secret');
  mkdirSync(secret, { mode: 0o700 });
  const hidden = writeProgram(join(secret, 'program'), 'true');
  const user = await findUser('nobody');
  await checkUserMayRun(user, writeProgram(join(dir, 'program'), 'true'), dir);
  await checkUserMayRun(null, hidden, secret);
  const code = 'StartFailed';
  await assert.rejects(checkUserMayRun(user, '/bin/sh', secret), {
    code,
    message: `the user nobody may not enter the working directory ${secret}`,
  });
  await assert.rejects(checkUserMayRun(user, hidden, '/'), {
    code,
    message: `the user nobody may not execute ${hidden}`,
  });
});

test('a switch that fails is an error with its reason', async () => {
  const user = { ...(await findUser('nobody'))!, groups: [Number.NaN] };
  await assert.rejects(checkUserMayRun(user, '/bin/sh', '/'), {
    code: 'StartFailed',
    message: /^the daemon cannot switch to the user nobody: setpriv: /,
  });
});
