/** Lookup of an image's user by the guest's init: its own lines, run in roots of the test. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { findStaticBusybox } from '../../../src/vm/host/host-tools.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const INIT = readFileSync(new URL('../../../src/vm/guest/init', import.meta.url), 'utf8');
/** The functions in the launcher that find a user. */
const FUNCTIONS = /^ {2}is_id\(\) \{.*?^ {2}\}$/ms.exec(INIT)![0];
const SCRIPT = `
fail() { echo "$2"; exit "$1"; }
${FUNCTIONS}
find_user "$0"
echo "$mc_uid:$mc_gid$mc_groups $mc_home"`;

const PASSWD = `root:x:0:0:root:/root:/bin/sh
bad:x:12x:1::/:
web:x:1001:1002:Web: two words:/home/web:/bin/sh
1001:x:7:7::/seven:
last:x:1003:1004::/home/last:`;
const GROUP = `root:x:0:
wheel:x:10:root,web
bad:x:x:web
log:x:1500:other,web
webs:x:1600:webs
end:x:1700:last`;

test('users and groups are found by name and by number, as container runtimes do', async (t) => {
  const root = await makeTempDir(t);
  mkdirSync(join(root, 'etc'));
  copyFileSync(findStaticBusybox(), join(root, 'busybox'));
  const find = (user: string) => {
    const { status, stdout } = spawnSync('chroot', [root, '/busybox', 'sh', '-c', SCRIPT, user], { encoding: 'utf8' });
    return `${status} ${stdout.trimEnd()}`;
  };

  assert.equal(find('0'), '0 0:0 /', 'a root without any /etc/passwd');
  assert.equal(find('1234:99'), '0 1234:99 /');
  assert.equal(find('web'), '126 the guest has no user web');

  writeFileSync(join(root, 'etc/passwd'), PASSWD);
  writeFileSync(join(root, 'etc/group'), GROUP);
  for (const [user, found] of [
    ['0', '0 0:0:10 /root'],
    ['', '0 0:0:10 /root'],
    ['root', '0 0:0:10 /root'],
    ['web', '0 1001:1002:10:1500  two words'],
    ['1001', '0 1001:1002:10:1500  two words'],
    ['last', '0 1003:1004:1700 /home/last'],
    ['web:log', '0 1001:1500  two words'],
    ['web:0', '0 1001:0  two words'],
    ['4321', '0 4321:0 /'],
    ['4321:log', '0 4321:1500 /'],
    ['4321:end', '0 4321:1700 /'],
    [':log', '0 0:1500 /root'],
    ['none', '126 the guest has no user none'],
    ['bad', '126 the guest has no user bad'],
    ['web:none', '126 the guest has no group none'],
    ['web:bad', '126 the guest has no group bad'],
    ['2147483647', '0 2147483647:0 /'],
    ['2147483648', '126 2147483648 is not a valid user id'],
    ['99999999999999999999', '126 99999999999999999999 is not a valid user id'],
    ['1:4294967296', '126 the guest has no group 4294967296'],
    ['$(id)', '126 the guest has no user $(id)'],
    ['*', '126 the guest has no user *'],
  ] as const) {
    assert.equal(find(user), found, user);
  }
});
