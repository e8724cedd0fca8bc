import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { findUser } from '../../../../src/vm/host/limits/user.ts';
import { checkUserMayRun, renderUserSwitch } from '../../../../src/vm/host/limits/user-switch.ts';
import { writeProgram } from '../../../helpers/processes/program.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

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
