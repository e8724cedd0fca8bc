import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { isAlive } from '../../../src/lib/proc.ts';
import type { Service } from '../../../src/protocol/service.ts';
import type { NetworkProbe, ProbeResult } from '../../../src/protocol/supervision.ts';
import { eventually } from '../../helpers/eventually.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { makeTempDir } from '../../helpers/temp.ts';
import { launchProcess } from '../../helpers/vm/plain-process.ts';

const NEVER = new AbortController().signal;
const LONG_MS = 60_000;
const CANCELLED = { ok: false, detail: 'cancelled' };

const script = (text: string) => ({ type: 'exec' as const, command: ['/bin/sh', '-c', text] });

/** A service that runs until the test has ended. */
function launch(t: TestContext, overrides: Partial<Service> = {}) {
  return launchProcess(t, scriptService('web', 'exec sleep 1000', { isolation: 'none', ...overrides }));
}

test('a command that exits with 0 is a success, and everything else has its reason', async (t) => {
  const { vm } = await launch(t);
  const ask = (command: string[]) => vm.probe({ type: 'exec', command }, LONG_MS, NEVER);
  assert.deepEqual(await ask(['true']), { ok: true, detail: 'exit code 0' });
  assert.deepEqual(await ask(['false']), { ok: false, detail: 'exit code 1' });
  assert.deepEqual(await vm.probe(script('kill -TERM $$'), LONG_MS, NEVER), { ok: false, detail: 'ended by SIGTERM' });
  assert.match((await ask(['no-such-command'])).detail, /^command not found: no-such-command/);
  assert.deepEqual(await ask(['/dev/null']), { ok: false, detail: '/dev/null is not an executable file' });
  assert.equal((await ask(['echo', '\0'])).ok, false);
});

test('a command has the variables, the folder, the user and the limits of the service', async (t) => {
  const { vm } = await launch(t, { envs: { ANSWER: '42' }, workdir: '/usr', user: 'nobody', open_files: 99 });
  const checks = ['[ "$ANSWER" = 42 ]', '[ "$PWD" = /usr ]', '[ "$(id -un)" = nobody ]', '[ "$(ulimit -n)" = 99 ]'];
  for (const check of checks) assert.equal((await vm.probe(script(check), LONG_MS, NEVER)).ok, true, check);
});

test('a command that takes too long is killed with all that it started', async (t) => {
  const file = join(await makeTempDir(t), 'pids');
  const { vm } = await launch(t);
  const result = await vm.probe(script(`trap '' TERM; sleep 1000 & echo $$ $! >${file}; wait`), 500, NEVER);
  assert.deepEqual(result, { ok: false, detail: 'no answer in 500ms' });
  const pids = readFileSync(file, 'utf8').trim().split(' ').map(Number);
  assert.equal(pids.length, 2);
  for (const pid of pids) await eventually(`${pid} to end`, () => !isAlive(pid));
});

test('what a command leaves running is killed when it has answered', async (t) => {
  const file = join(await makeTempDir(t), 'pid');
  const { vm } = await launch(t);
  assert.equal((await vm.probe(script(`sleep 1000 & echo $! >${file}`), LONG_MS, NEVER)).ok, true);
  await eventually('the rest to end', () => !isAlive(Number(readFileSync(file, 'utf8'))));
});

test('a probe that is called off answers at once, and so does one that is asked afterwards', async (t) => {
  const file = join(await makeTempDir(t), 'started');
  const { vm } = await launch(t);
  const cancel = new AbortController();
  const result = vm.probe(script(`: >${file}; sleep 1000`), LONG_MS, cancel.signal);
  await eventually('the command to run', () => existsSync(file));
  cancel.abort();
  assert.deepEqual(await result, CANCELLED);
  assert.deepEqual(await vm.probe(script('true'), LONG_MS, cancel.signal), CANCELLED);
});

test('the end of the process calls its probes off', async (t) => {
  const file = join(await makeTempDir(t), 'started');
  const { vm, event } = await launch(t);
  const result = vm.probe(script(`: >${file}; sleep 1000`), LONG_MS, NEVER);
  await eventually('the command to run', () => existsSync(file));
  vm.kill('SIGKILL');
  assert.deepEqual(await result, CANCELLED);
  await event('process-ended');
  assert.deepEqual(await vm.probe(script('true'), LONG_MS, NEVER), CANCELLED);
});

test('ports are asked elsewhere, until the process has ended', async (t) => {
  const asked: [NetworkProbe, number][] = [];
  const prober = {
    probe: (probe: NetworkProbe, timeoutMs: number, signal: AbortSignal) => {
      asked.push([probe, timeoutMs]);
      return new Promise<ProbeResult>((resolve) => {
        signal.addEventListener('abort', () => resolve({ ok: false, detail: 'told to stop' }));
      });
    },
  };
  const service = scriptService('web', 'exec sleep 1000', { isolation: 'none' });
  const { vm } = await launchProcess(t, service, { prober });
  const result = vm.probe({ type: 'tcp', port: 80 }, 250, NEVER);
  await eventually('the question', () => asked.length > 0);
  vm.kill('SIGKILL');
  assert.deepEqual(await result, { ok: false, detail: 'told to stop' });
  assert.deepEqual(asked, [[{ type: 'tcp', port: 80 }, 250]]);
});
