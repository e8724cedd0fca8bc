import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { ServiceStatus } from '../../../src/protocol/service.ts';
import { type Handler, sendJson, startFakeDaemon } from '../../helpers/fakes/fake-daemon.ts';
import { makeOutcome, makeService } from '../../helpers/fakes/listed-services.ts';
import { runCli } from '../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../helpers/temp.ts';

/** A home whose daemon knows these services and does what it is told, and a folder with a config of the project shop. */
async function prepare(t: TestContext, services: readonly ServiceStatus[], handlers: Record<string, Handler> = {}) {
  const home = await makeTempDir(t);
  const folder = join(home, 'shop');
  await mkdir(join(folder, 'src'), { recursive: true });
  await writeFile(join(folder, 'monocore.toml'), '');
  const answer: Handler = (response) => sendJson(response, { services: services.map((one) => makeOutcome(one)) });
  const daemon = await startFakeDaemon(t, home, {
    'GET /v1/services': (response) => sendJson(response, { services }),
    'POST /v1/services/stop': answer,
    'POST /v1/services/restart': answer,
    'POST /v1/services/remove': answer,
    ...handlers,
  });
  const run = (args: readonly string[], cwd = home) => runCli(['--home', home, ...args], { cwd });
  return { daemon, run, home, folder };
}

test('stop shows how each service ended and passes its timeout on', async (t) => {
  const stopped = makeService({ status: 'Stopped', exit_code: 0 });
  const { daemon, run } = await prepare(t, [makeService()], {
    'POST /v1/services/stop': (response) => {
      daemon.emit({ type: 'service', service: makeService({ status: 'Stopping', detail: 'draining output' }) });
      sendJson(response, { services: [makeOutcome(stopped)] });
    },
  });
  const { exitCode, stdout } = await run(['down', '-g', 'demo', '-t', '1.5']);
  assert.equal(exitCode, 0);
  assert.match(stdout.toString(), /(^|\n)web: exited \(0\)\n$/);
  assert.deepEqual(daemon.requests.at(-1)?.body, { names: [], group: 'demo', all: false, timeout_ms: 1500 });
});

for (const [verb, ...options] of [['stop'], ['restart'], ['remove', '--yes']] as const) {
  test(`${verb} without names is about the project whose config is at hand, and --all about the home`, async (t) => {
    const { daemon, run, folder } = await prepare(t, [makeService()]);
    const commands = () => daemon.requests.filter(({ method }) => method === 'POST').map(({ body }) => body);
    const project = { name: 'shop', folder };
    for (const [place, ...more] of [[folder], [join(folder, 'src')], ['/', '-f', join(folder, 'monocore.toml')]]) {
      assert.equal((await run([verb, ...options, ...more], place)).exitCode, 0, place);
      assert.deepEqual(commands().at(-1), { names: [], group: null, all: false, timeout_ms: null, project });
    }
    const asked = daemon.requests.find(({ method, url }) => method === 'GET' && url.includes('services'));
    assert.equal(asked?.url, `/v1/services?project=shop&folder=${encodeURIComponent(folder)}`);

    const count = commands().length;
    const refused = await run([verb, ...options]);
    assert.equal(refused.exitCode, 2);
    assert.match(refused.stderr, /there is no config here or in a folder above\n.*--all/);
    assert.equal((await run([verb, ...options, '--all', 'web'])).exitCode, 2);
    assert.equal(commands().length, count, 'and nothing is done');

    assert.equal((await run([verb, ...options, '--all'], folder)).exitCode, 0);
    assert.deepEqual(commands().at(-1), { names: [], group: null, all: true, timeout_ms: null });
    assert.equal((await run([verb, ...options, 'web'])).exitCode, 0);
    assert.deepEqual(commands().at(-1), { names: ['web'], group: null, all: false, timeout_ms: null });
  });
}

test('a project or a home without services has nothing to stop', async (t) => {
  const { run, folder } = await prepare(t, []);
  const inProject = await run(['stop'], folder);
  assert.deepEqual([inProject.exitCode, inProject.stdout.toString()], [0, 'nothing to stop in project shop\n']);
  const all = await run(['stop', '--all']);
  assert.deepEqual([all.exitCode, all.stdout.toString()], [0, 'nothing to stop\n']);
});

test('restart restarts the services that it names', async (t) => {
  const { daemon, run } = await prepare(t, [makeService()]);
  const { exitCode, stdout } = await run(['restart', 'web']);
  assert.equal(exitCode, 0);
  assert.equal(stdout.toString(), 'web: running\n');
  const request = daemon.requests.find(({ url }) => url.endsWith('/restart'));
  assert.deepEqual(request?.body, { names: ['web'], group: null, all: false, timeout_ms: null });
});

test('remove reports a service that it could not remove', async (t) => {
  const error = 'it is running';
  const { run } = await prepare(t, [makeService()], {
    'POST /v1/services/remove': (response) =>
      sendJson(response, { services: [makeOutcome(makeService(), { outcome: 'failed', error })] }),
  });
  const { exitCode, stderr } = await run(['rm', '--all', '-y']);
  assert.equal(exitCode, 1);
  assert.equal(stderr, 'monocore: web could not be removed: it is running\n');
});

test('remove deletes nothing unasked, and names the logs and disks that would go', async (t) => {
  const web = makeService({ project: { name: 'shop', folder: '/srv/shop' } });
  const { daemon, run, home } = await prepare(t, [web, makeService({ name: 'db', pid: null })]);
  await Promise.all(['log', 'disk'].map((name) => mkdir(join(home, name))));
  await writeFile(join(home, 'log', 'web.stdout.000001.log'), 'x'.repeat(8192));
  await symlink('web.stdout.000001.log', join(home, 'log', 'web.stdout.log'));
  await writeFile(join(home, 'disk', 'web.img'), 'x'.repeat(4096));
  const { exitCode, stderr } = await run(['rm', '--all']);
  assert.equal(exitCode, 2);
  assert.match(stderr, /deletes data/);
  assert.match(stderr, /web of project shop +logs 8 KiB, disk 4 KiB, running\n/);
  assert.match(stderr, /db +logs 0 B\n/);
  assert.match(stderr, /--yes/);
  assert.deepEqual(
    daemon.requests.filter(({ method }) => method === 'POST'),
    [],
  );
});
