/** Commands beside the job of a guest, and connections with its ports. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { buffer, text } from 'node:stream/consumers';
import { it, type TestContext } from 'node:test';
import { MIB } from '../../../src/lib/units.ts';
import { INITIAL_CREDIT } from '../../../src/vm/guest/agent/protocol.ts';
import type { AgentSession } from '../../../src/vm/guest/agent-session.ts';
import type { ExecRequest } from '../../../src/vm/guest/control-channel.ts';
import type { GuestVm } from '../../../src/vm/guest/guest-vm.ts';
import { makeRoot } from '../../helpers/disks/guest-root.ts';
import { eventually } from '../../helpers/eventually.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { makeTempDir } from '../../helpers/temp.ts';
import { makeGuestHost } from '../../helpers/vm/guest.ts';

const APPLETS = [
  'cat',
  'echo',
  'grep',
  'id',
  'kill',
  'ls',
  'nc',
  'ps',
  'pwd',
  'sh',
  'sha256sum',
  'sleep',
  'stty',
  'tty',
];

async function launch(t: TestContext, script: string) {
  const root = await makeTempDir(t);
  makeRoot(root, APPLETS);
  const host = await makeGuestHost(t);
  const service = scriptService('guest', script, {
    rootfs: root,
    envs: { PATH: '/bin', OWN: 'of the service' },
    workdir: '/bin',
  });
  const guest = await host.launch(service);
  const streams = (['stdout', 'stderr', 'console'] as const).map((stream) => guest.read(stream));
  await guest.event('job-started');
  return { guest, vm: guest.vm as GuestVm, stdout: streams[0]! };
}

/** Runs a command to its end. */
async function run(vm: GuestVm, request: ExecRequest, input: Buffer | string = '') {
  const session = vm.exec(request);
  session.stdin.end(input);
  const [stdout, stderr, end] = await Promise.all([text(session.stdout), text(session.stderr), session.ended]);
  return { stdout, stderr, ...end };
}

/** Collects what a session prints, to wait for parts of it. */
function listen(session: AgentSession) {
  let all = '';
  session.stdout.setEncoding('utf8').on('data', (more) => {
    all += more;
  });
  return (part: string) => eventually(`${JSON.stringify(part)} in the output`, () => all.includes(part) && all);
}

it('runs in the root, with the environment and as the user of the service, until it ends', async (t) => {
  const { guest, vm, stdout } = await launch(t, 'echo serving; while :; do sleep 0.1; done');
  const shell = (script: string): ExecRequest => ({ command: ['sh', '-c', script] });

  assert.deepEqual(await run(vm, shell('echo "$OWN" in $PWD as $(id -u); echo to errors >&2; exit 7')), {
    stdout: 'of the service in /bin as 0\n',
    stderr: 'to errors\n',
    status: 7,
    error: null,
  });
  const other = { envs: { OWN: 'other', NEW: 'x' }, workdir: '/', user: '1000:100' };
  assert.equal(
    (await run(vm, { ...shell('echo $OWN $NEW $PWD $(id -u):$(id -g) $HOME'), ...other })).stdout,
    'other x / 1000:100 /root\n',
  );
  assert.equal((await run(vm, shell('kill -TERM $$'))).status, 143);
  // It sees the processes of the service, and itself.
  assert.match((await run(vm, shell('ps'))).stdout, / 1 0 +\/bin\/sh -c echo serving/);

  const refused = await run(vm, { command: ['none'] });
  assert.deepEqual([refused.status, refused.error], [127, 'command not found: none']);
  assert.equal(
    (await run(vm, { command: ['sh'], workdir: '/none' })).error,
    'the working directory /none cannot be entered',
  );
  assert.equal((await run(vm, { command: ['sh'], user: 'none' })).error, 'the guest has no user none');

  // Nobody waits for the end of an input that no one reads, nor for what a command leaves running.
  const unread = vm.exec({ command: ['sh', '-c', 'sleep 1000 & exit 3'] });
  unread.stdin.write(randomBytes(MIB));
  unread.stdout.resume();
  assert.deepEqual(await unread.ended, { status: 3, error: null });
  const endless = vm.exec({ command: ['sleep', '1000'] });
  assert.equal(await endless.opened, null);
  endless.abort();
  assert.deepEqual(await endless.ended, { status: 137, error: null });

  guest.vm.kill('SIGKILL');
  const late = vm.exec({ command: ['true'] });
  assert.deepEqual(await late.ended, { status: 125, error: 'the connection to the guest was lost' });
  await guest.event('process-ended');
  assert.equal((await stdout.ended).toString(), 'serving\n', 'nothing of a session is output of the service');
});

it('carries bytes both ways without a change, and no reader stalls another', async (t) => {
  const { vm } = await launch(t, 'while :; do sleep 1; done');
  const stalled = vm.exec({ command: ['cat', '/dev/zero'] });
  await stalled.opened;
  const bytes = randomBytes(4 * MIB);
  const session = vm.exec({ command: ['cat'] });
  session.stdin.end(bytes);
  assert.ok((await buffer(session.stdout)).equals(bytes));
  assert.deepEqual(await session.ended, { status: 0, error: null });
  assert.ok(stalled.stdout.readableLength <= 2 * INITIAL_CREDIT, `${stalled.stdout.readableLength} bytes`);

  const many = await Promise.all(
    Array.from({ length: 20 }, (_, index) => run(vm, { command: ['sha256sum'] }, String(index).repeat(50_000))),
  );
  for (const [index, { stdout, status }] of many.entries()) {
    const digest = createHash('sha256').update(String(index).repeat(50_000)).digest('hex');
    assert.deepEqual([stdout, status], [`${digest}  -\n`, 0]);
  }
  stalled.abort();
  stalled.stdout.resume();
  assert.equal((await stalled.ended).status, 137);
});

it('has a terminal with a size, job control and keys', async (t) => {
  const { vm } = await launch(t, 'while :; do sleep 1; done');
  const own = vm.exec({
    command: ['sh', '-c', 'echo opened >$(tty)'],
    terminal: { columns: 80, rows: 24 },
    user: '1000',
  });
  assert.equal(await text(own.stdout), 'opened\r\n', 'its terminal is its own');
  const session = vm.exec({ command: ['sh'], terminal: { columns: 100, rows: 30 }, envs: { PS1: '> ' } });
  const printed = listen(session);
  await printed('> ');
  session.stdin.write('stty size; tty; echo $TERM\r');
  await printed('30 100\r\n/dev/pts/0\r\nxterm\r\n');
  session.resize(120, 40);
  session.stdin.write('stty size\r');
  await printed('40 120\r\n');
  session.stdin.write('echo sleeps $((1 + 1)); sleep 1000\r');
  await printed('sleeps 2');
  session.stdin.write('\x03');
  session.stdin.write('echo still here $((1 + 1))\r');
  await printed('still here 2');
  session.stdin.write('exit 9\r');
  assert.deepEqual(await session.ended, { status: 9, error: null });
});

it('connects with ports of the guest', async (t) => {
  const { vm } = await launch(t, "nc -ll -p 80 -e sh -c 'read line; echo heard $line; cat'");
  const ask = async () => {
    const session = vm.connect('127.0.0.1', 80);
    const refused = await session.opened;
    return refused === null ? session : null;
  };
  const session = await eventually('the server', ask);
  session.stdin.end('hello\nrest');
  assert.equal(await text(session.stdout), 'heard hello\nrest');
  assert.deepEqual(await session.ended, { status: 0, error: null });
  const refused = vm.connect('127.0.0.1', 81);
  refused.stdout.resume();
  assert.deepEqual(await refused.opened, { status: 125, error: 'Connection refused' });
});
