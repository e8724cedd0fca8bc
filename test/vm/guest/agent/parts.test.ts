/** Parts of the agent that need no guest, compiled for this host with sanitizers. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  FRAME_TYPES,
  MAX_BODY_BYTES,
  MAX_MESSAGE_BYTES,
  RESYNC_BYTES,
} from '../../../../src/vm/guest/agent/protocol.ts';
import { renderMessage, renderWords } from '../../../../src/vm/guest/agent-frames.ts';
import { compileSanitized } from '../../../helpers/processes/c-program.ts';
import { emulator } from '../../../helpers/processes/test-program.ts';
import { rounds } from '../../../helpers/rounds.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

const AGENT = fileURLToPath(new URL('../../../../src/vm/guest/agent/', import.meta.url));
const PARTS = ['frames.c', 'words.c', 'user.c', 'hosts.c', 'files.c', 'explain.c'].map((name) => join(AGENT, name));

/** Sum of a body, as parts.c makes it. */
function sumOf(body: Uint8Array): number {
  return body.reduce((sum, byte) => (Math.imul(sum, 31) + byte) >>> 0, 0);
}

const line = (type: keyof typeof FRAME_TYPES, session: number, body: Uint8Array) =>
  `${FRAME_TYPES[type]} ${session} ${body.length} ${sumOf(body)}\n`;

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

/** Users as an image or a config names them. */
const USERS: readonly (readonly [string, string])[] = [
  ['0', '0:0:10 /root'],
  ['', '0:0:10 /root'],
  ['root', '0:0:10 /root'],
  ['web', '1001:1002:10:1500  two words'],
  ['1001', '1001:1002:10:1500  two words'],
  ['last', '1003:1004:1700 /home/last'],
  ['web:log', '1001:1500  two words'],
  ['web:0', '1001:0  two words'],
  ['4321', '4321:0 /'],
  ['4321:log', '4321:1500 /'],
  ['4321:end', '4321:1700 /'],
  [':log', '0:1500 /root'],
  ['none', 'the guest has no user none'],
  ['bad', 'the guest has no user bad'],
  ['web:none', 'the guest has no group none'],
  ['web:bad', 'the guest has no group bad'],
  ['2147483647', '2147483647:0 /'],
  ['2147483648', '2147483648 is not a valid user id'],
  ['99999999999999999999', '99999999999999999999 is not a valid user id'],
  ['1:4294967296', 'the guest has no group 4294967296'],
  ['$(id)', 'the guest has no user $(id)'],
  ['*', 'the guest has no user *'],
];

const program = compileSanitized([fileURLToPath(new URL('./parts.c', import.meta.url)), ...PARTS]);

const run = (args: readonly string[], input: Uint8Array | string = ''): string => {
  const { status, stdout, stderr } = spawnSync(program, args, { input, encoding: 'utf8', maxBuffer: 2 ** 26 });
  assert.equal(status, 0, stderr);
  return stdout;
};

test('messages are read whole, however they are cut', () => {
  const large = Buffer.alloc(3 * MAX_BODY_BYTES + 1, 'abc');
  const exact = Buffer.alloc(MAX_BODY_BYTES, 1);
  const stream = Buffer.concat([
    renderMessage('start'),
    renderMessage('job', 0, large),
    Buffer.alloc(3),
    renderMessage('input', 4_000_000_000, exact),
  ]);
  const expected = line('start', 0, Buffer.alloc(0)) + line('job', 0, large) + line('input', 4_000_000_000, exact);
  for (const piece of [1, 7, 4096, 1_000_000]) assert.equal(run(['frames', String(piece)], stream), expected);
});

test('the largest message is taken, a larger one is dropped, and the next one is heard', () => {
  const largest = Buffer.alloc(MAX_MESSAGE_BYTES, 'x');
  const cut = renderMessage('job', 0, largest);
  // The last part claims to have more, and one comes.
  const part = renderMessage('job', 0, Buffer.alloc(1, 'x'));
  const last = cut.length - (8 + MAX_BODY_BYTES + 1);
  const tooLarge = Buffer.concat([cut, part]);
  tooLarge[last + 1] = 1;
  const expected = line('job', 0, largest) + line('off', 0, Buffer.alloc(0));
  assert.equal(run(['frames', '60000'], Buffer.concat([cut, tooLarge, renderMessage('off')])), expected);
});

test('wherever a daemon dies in a message, the next one is heard, and nothing else', () => {
  const body = Buffer.alloc(MAX_BODY_BYTES + 500, 0xff);
  const message = renderMessage('secret', 7, body);
  const hello = Buffer.alloc(18, 9);
  const next = Buffer.concat([Buffer.alloc(RESYNC_BYTES), renderMessage('hello', 0, hello), renderMessage('off')]);
  const expected = line('hello', 0, hello) + line('off', 0, Buffer.alloc(0));
  const places = [1, 2, 3, 4, 7, 8, 9, 5000, 8 + MAX_BODY_BYTES, 9 + MAX_BODY_BYTES, message.length - 1];
  for (const at of places) {
    assert.equal(run(['frames', '3000'], Buffer.concat([message.subarray(0, at), next])), expected, `cut at ${at}`);
  }
});

test('users and groups are found by name and by number, as container runtimes do', async (t) => {
  const dir = await makeTempDir(t);
  const [passwd, group] = [join(dir, 'passwd'), join(dir, 'group')];
  const find = (user: string) => run(['user', user, passwd, group]).trimEnd();

  assert.equal(find('0'), '0:0 /', 'a root without any /etc/passwd');
  assert.equal(find('1234:99'), '1234:99 /');
  assert.equal(find('web'), 'the guest has no user web');

  writeFileSync(passwd, PASSWD);
  writeFileSync(group, GROUP);
  for (const [user, found] of USERS) assert.equal(find(user), found, user);
  writeFileSync(group, `${'a:x:5:web\n'.repeat(3000)}`);
  assert.equal(find('web').split(':').length, 2 + 1023, 'as many groups as a process can have');
});

test('names of other machines come first in /etc/hosts, and replace earlier ones', () => {
  const own = '127.0.0.1 localhost\n192.0.2.1 printer';
  const first = run(['hosts', '10.83.0.1 db\n'], own);
  assert.equal(first, `# monocore: the group\n10.83.0.1 db\n# monocore: end\n${own}`);
  const second = run(['hosts', '10.83.0.2 web\n'], first);
  assert.equal(second, `# monocore: the group\n10.83.0.2 web\n# monocore: end\n${own}`);
  assert.equal(run(['hosts', ''], ''), '# monocore: the group\n# monocore: end\n');
  // A layer whose machine was killed while the file was written, by another program than the agent.
  assert.equal(run(['hosts', ''], 'a\n# monocore: the group\nb'), '# monocore: the group\n# monocore: end\na\n');
});

test('a program that cannot be executed says why', async (t) => {
  const dir = await makeTempDir(t);
  const explain = (content: string | Buffer, mode = 0o755) => {
    const path = join(dir, 'program');
    writeFileSync(path, content, { mode });
    chmodSync(path, mode);
    return run(['exec', path]).trimEnd();
  };
  const elf = readFileSync(process.execPath);
  const foreign = Buffer.from(elf.subarray(0, 4096));
  foreign.writeUInt16LE(243, 18);
  const loader = elf.indexOf('/lib');
  const unloadable = Buffer.from(elf);
  unloadable.write('/lix', loader);
  for (const [content, said] of [
    ['#!/bin/none -x\n', '127 cannot execute it: its interpreter /bin/none does not exist in the guest'],
    [
      '#!/bin/sh\r\necho\r\n',
      '127 cannot execute it: its interpreter /bin/sh is followed by a carriage return: save it with Unix line ends',
    ],
    ['#! \t/bin/none\t-x', '127 cannot execute it: its interpreter /bin/none does not exist in the guest'],
    [foreign, '126 cannot execute it: it is a program for another processor'],
    ['echo no head\n', '126 cannot execute it: it is neither a program nor a script'],
    ['', '126 cannot execute it: it is neither a program nor a script'],
  ] as const) {
    assert.equal(explain(content), said);
  }
  assert.match(explain(unloadable), /^127 cannot execute it: its interpreter \/lix\S+ does not exist in the guest$/);
  assert.equal(
    explain('#!/bin/sh\n', 0o644),
    '126 cannot execute it: its user may not execute it, or not its interpreter',
  );
});

for (const architecture of ['x64', 'arm64']) {
  test(`the agent for ${architecture} does nothing to a host`, () => {
    const [agent, ...words] = [...emulator(architecture), join(AGENT, architecture, 'monocore-agent')];
    const { status, stderr } = spawnSync(agent!, words, { encoding: 'utf8' });
    assert.deepEqual([status, stderr], [2, 'monocore-agent: it is process 1 of a guest, and no other\n']);
  });
}

test('whatever comes, nothing is read or written beyond it', (t) => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  t.diagnostic(`seed ${seed}`);
  const words = renderWords(['arg=a', 'arg=', 'env=A=b']);
  const input = Buffer.concat([
    renderMessage('job', 0, words),
    Buffer.from(`${PASSWD}\n${GROUP}\n`),
    renderMessage('input', 3, Buffer.alloc(MAX_BODY_BYTES + 9, 'x')),
  ]);
  assert.match(run(['fuzz', String(seed), String(rounds(20_000))], input), /^\d+ messages\n$/);
});
