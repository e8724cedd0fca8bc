/** Expectations of images about the guest that they run in: those of containers. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { makeRoot } from '../../helpers/disks/guest-root.ts';
import { makePerlRoot } from '../../helpers/disks/perl-root.ts';
import { eventually } from '../../helpers/eventually.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { makeTempDir } from '../../helpers/temp.ts';
import { makeGuestHost } from '../../helpers/vm/guest.ts';

const NEVER = new AbortController().signal;

/** Answers in two pieces, and says whether the client took both. */
const SLOW_SERVER = `
  use Socket;
  socket(my $server, PF_INET, SOCK_STREAM, 0);
  setsockopt($server, SOL_SOCKET, SO_REUSEADDR, 1);
  bind($server, sockaddr_in(80, INADDR_LOOPBACK)) or die;
  listen($server, 5);
  $SIG{PIPE} = 'IGNORE';
  print "listening\\n";
  $| = 1;
  while (accept(my $client, $server)) {
    sysread($client, my $request, 4096);
    syswrite($client, "HTTP/1.1 200 OK\\r\\nContent-Length: 200000\\r\\n\\r\\n");
    select(undef, undef, undef, 0.3);
    my $sent = 0;
    for (1 .. 20) { $sent += syswrite($client, 'x' x 10000) // 0; select(undef, undef, undef, 0.01) }
    shutdown($client, 1);
    my $rest = sysread($client, my $nothing, 1);
    print "sent $sent, ", defined $rest ? 'closed' : "failed: $!", "\\n";
    close $client;
  }`;

it('finds its own files in /run and /tmp, its names, limits, variables and process number', async (t) => {
  const root = await makeTempDir(t);
  makePerlRoot(root);
  for (const name of ['etc', 'run/app', 'tmp']) mkdirSync(join(root, name), { recursive: true });
  for (const applet of ['ln', 'ls', 'readlink', 'stat', 'ping', 'tr', 'head', 'env']) {
    symlinkSync('busybox', join(root, 'bin', applet));
  }
  writeFileSync(join(root, 'run/app/file'), 'of the image\n');
  chmodSync(join(root, 'run/app'), 0o2750);
  chownSync(join(root, 'run/app'), 33, 34);
  symlinkSync('app/file', join(root, 'run/link'));
  writeFileSync(join(root, 'tmp/private'), '', { mode: 0o600 });
  const script = `
    stat -c '%n %a %u %g' /run /tmp /run/app /tmp/private
    cat /run/link
    ls -A /run /tmp
    ping -c 1 -w 2 localhost | head -n 1
    ping -c 1 -w 2 guest | head -n 1
    ulimit -Sn; ulimit -Hn
    echo $$ $PPID
    readlink /proc/1/fd/1 | tr -d 0-9
    ln -s /proc/1/fd/1 /run/log && echo through a link >/run/log
    tr '\\0' '\\n' </proc/1/environ
    echo end
    exec perl -e "$SERVER"`;
  const envs = { PATH: '/bin', PWD: '/w', SHLVL: '9', _: 'own', 'not.a.name': '1', SERVER: SLOW_SERVER };
  const host = await makeGuestHost(t);
  const guest = await host.launch(scriptService('guest', script, { rootfs: root, envs }));
  const stdout = guest.read('stdout');
  await eventually('the server', () => stdout.endsWith('listening\n'));
  assert.deepEqual(await guest.vm.probe({ type: 'http', port: 80, path: '/' }, 10_000, NEVER), {
    ok: true,
    detail: 'status 200',
  });
  await eventually('the end of the answer', () => stdout.endsWith('closed\n'));
  // The server ends for the signal although process 1 of a namespace is spared it.
  guest.vm.signalJob('SIGTERM');
  assert.deepEqual((await guest.event('job-exited')).exit, { code: 143, signal: 'SIGTERM' });
  guest.vm.release();
  await guest.event('process-ended');
  const printed = (await stdout.ended).toString().split('\n');
  const variables = Object.entries({ ...envs, HOME: '/root', HOSTNAME: 'guest' });
  assert.deepEqual(printed.slice(0, 20), [
    '/run 755 0 0',
    '/tmp 1777 0 0',
    '/run/app 2750 33 34',
    '/tmp/private 600 0 0',
    'of the image',
    '/run:',
    'app',
    'link',
    '',
    '/tmp:',
    'private',
    'PING localhost (127.0.0.1): 56 data bytes',
    'PING guest (127.0.0.1): 56 data bytes',
    '1024',
    '1048576',
    '1 0',
    'pipe:[]',
    'through a link',
    ...printed.slice(18, 20),
  ]);
  const environment = printed.slice(18, printed.indexOf('end')).join('\n');
  for (const [name, value] of variables) assert.ok(environment.includes(`${name}=${value}`), name);
  assert.equal(printed.at(-2), 'sent 200000, closed');
});

it('boots where links of its root lead elsewhere from the folders that it is given', async (t) => {
  const root = await makeTempDir(t);
  makeRoot(root, ['cat', 'grep', 'sh', 'touch']);
  mkdirSync(join(root, 'var/tmp'), { recursive: true });
  mkdirSync(join(root, 'var/lib'), { recursive: true });
  symlinkSync('/var/tmp', join(root, 'tmp'));
  symlinkSync('/var/run', join(root, 'run'));
  symlinkSync('/nowhere/resolv.conf', join(root, 'etc'));
  const script = `grep -E ' (/var/tmp|/var/run) ' /proc/mounts; touch /tmp/file /run/file && cat /var/tmp/file /var/run/file`;
  const host = await makeGuestHost(t);
  const guest = await host.launch(scriptService('linked', script, { rootfs: root, disk_mib: 16 }));
  const stdout = guest.read('stdout');
  assert.deepEqual((await guest.event('job-exited')).exit, { code: 0, signal: null });
  guest.vm.release();
  await guest.event('process-ended');
  assert.match((await stdout.ended).toString(), /^run \/var\/run tmpfs .*mode=755.*\ntmp \/var\/tmp tmpfs rw,.*\n$/);
});

it('says why its command cannot be executed', async (t) => {
  const root = await makeTempDir(t);
  makeRoot(root, ['sh']);
  writeFileSync(join(root, 'bin/script'), '#!/bin/bash\n', { mode: 0o755 });
  const host = await makeGuestHost(t);
  const service = scriptService('script', '', { rootfs: root, command: '/bin/script', args: [] });
  const guest = await host.launch(service);
  const stderr = guest.read('stderr');
  const reason = 'cannot execute /bin/script: its interpreter /bin/bash does not exist in the guest';
  assert.equal((await guest.event('job-failed')).error, reason);
  assert.equal((await guest.event('job-exited')).exit.code, 127);
  guest.vm.release();
  await guest.event('process-ended');
  assert.equal((await stderr.ended).toString(), `monocore: ${reason}\n`);
});
