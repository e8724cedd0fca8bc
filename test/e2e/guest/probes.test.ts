/** A guest is asked how its service does; what asks is gone when there is an answer. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { VmProbe } from '../../../src/vm/backend.ts';
import { eventually } from '../../helpers/eventually.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { launchGuest } from '../../helpers/vm/guest.ts';

const NEVER = new AbortController().signal;

it('answers about ports, pages and commands, in the root and with the environment of the service', async (t) => {
  const script = `
    mkdir -p /srv/www/cgi-bin
    echo hello >/srv/www/index.html
    printf '#!/bin/sh\\nprintf "Status: 503 Busy\\r\\n\\r\\n"\\n' >/srv/www/cgi-bin/busy
    chmod +x /srv/www/cgi-bin/busy
    httpd -p 80 -h /srv/www
    nc -ll -p 81 -e sleep 1000 &
    echo ready
    while :; do sleep 0.1; [ -e /srv/stop ] && exit 0; done`;
  // Names that the guest's own scripts use.
  const envs = { GREETING: "it's\n$HOME", root: 'kept', command: 'kept', answer: 'kept' };
  const guest = await launchGuest(t, scriptService('asked', script, { disk_mib: 16, envs, workdir: '/var' }));
  const stdout = guest.read('stdout');
  const stderr = guest.read('stderr');
  const ask = (probe: VmProbe, timeoutMs = 10_000, signal = NEVER) => guest.vm.probe(probe, timeoutMs, signal);
  const exec = (...command: string[]): VmProbe => ({ type: 'exec', command });
  await eventually('the service', () => stdout.endsWith('ready\n'));

  assert.deepEqual(await ask({ type: 'tcp', port: 80 }), { ok: true, detail: 'connection accepted' });
  assert.deepEqual(await ask({ type: 'tcp', port: 82 }), { ok: false, detail: 'connection refused' });
  const page = (port: number, path: string): VmProbe => ({ type: 'http', port, path });
  assert.deepEqual(await ask(page(80, '/')), { ok: true, detail: 'status 200' });
  assert.deepEqual(await ask(page(80, "/it's?a=$HOME&b")), { ok: false, detail: 'status 404' });
  assert.deepEqual(await ask(page(80, '/cgi-bin/busy')), { ok: false, detail: 'status 503' });
  assert.deepEqual(await ask(page(82, '/')), { ok: false, detail: 'connection refused' });
  assert.deepEqual(await ask(page(81, '/'), 500), { ok: false, detail: 'no answer in 500ms' });

  const wanted = `/var|it's\n\\$HOME|kept|kept|kept|two\nlines`;
  const check = `[ "$PWD|$GREETING|$root|$command|$answer|$1" = "${wanted}" ] && [ -e /srv/www ]`;
  assert.deepEqual(await ask(exec('/bin/sh', '-c', check, 'sh', 'two\nlines')), { ok: true, detail: 'exit code 0' });
  const noisy = exec('sh', '-c', 'echo noise; echo noise >&2; exit 3');
  assert.deepEqual(await ask(noisy), { ok: false, detail: 'exit code 3' });
  assert.deepEqual(await ask(exec('no-such-program')), { ok: false, detail: 'command not found: no-such-program' });

  // What a probe leaves running is killed with it: at its end, at the time-out and when it is called off.
  const spawn = 'sleep 4321 & sleep 4321 & ';
  assert.equal((await ask(exec('sh', '-c', `${spawn} exit 7`))).detail, 'exit code 7');
  assert.equal((await ask(exec('sh', '-c', `${spawn} wait`), 500)).detail, 'no answer in 500ms');
  const calledOff = new AbortController();
  const pending = ask(exec('sh', '-c', `${spawn} touch /srv/spawned; wait`), 60_000, calledOff.signal);
  await eventually('the command', async () => (await ask(exec('test', '-e', '/srv/spawned'))).ok);
  calledOff.abort();
  assert.deepEqual(await pending, { ok: false, detail: 'cancelled' });
  const noneLeft = 'for dir in /proc/[0-9]*; do grep -q [4]321 $dir/cmdline && exit 1; done; exit 0';
  assert.deepEqual(await ask(exec('sh', '-c', noneLeft)), { ok: true, detail: 'exit code 0' });

  const last = ask(exec('sh', '-c', 'touch /srv/stop; sleep 1000'), 60_000);
  assert.deepEqual(await last, { ok: false, detail: 'the command has ended' });
  assert.equal((await guest.event('job-exited')).exit.code, 0);
  guest.vm.release();
  await guest.event('process-ended');
  assert.equal((await stdout.ended).toString(), 'ready\n', 'nothing that a probe prints is output of the service');
  assert.equal((await stderr.ended).toString(), '');
});
