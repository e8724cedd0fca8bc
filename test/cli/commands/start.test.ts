import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { renderPlan } from '../../../src/cli/commands/start.ts';
import { NO_COLORS } from '../../../src/cli/render/terminal-text.ts';
import type { ServiceStatus } from '../../../src/protocol/service.ts';
import { type FakeDaemon, type Handler, sendJson, startFakeDaemon } from '../../helpers/fakes/fake-daemon.ts';
import { makeOutcome, makeService } from '../../helpers/fakes/listed-services.ts';
import { savedState } from '../../helpers/fakes/saved-states.ts';
import { stopped } from '../../helpers/fakes/states.ts';
import { runCli, spawnCli, waitForCli } from '../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const CONFIG = `
[[service]]
name = "web"
command = "/bin/httpd"
depends_on = ["db"]

[[service]]
name = "db"
command = "/bin/db"

[[service]]
name = "cron"
command = "/bin/crond"
`;

/** A home with a daemon that answers start with `onStart`, and a config beside it. */
async function prepare(t: TestContext, onStart: Handler, config = CONFIG) {
  const home = await makeTempDir(t);
  await writeFile(join(home, 'monocore.toml'), config);
  // A service that failed earlier is part of what the events begin with.
  const known = [{ type: 'service', service: makeService({ name: 'db', status: 'Failed', error: 'old' }) }] as const;
  const daemon: FakeDaemon = await startFakeDaemon(t, home, { 'POST /v1/services/start': onStart }, known);
  return { daemon, run: (...args: string[]) => runCli(['--home', home, 'start', ...args], { cwd: home }), home };
}

test('start sends the config and shows each change of the services that it is about', async (t) => {
  const db = makeService({ name: 'db' });
  const web = makeService({ name: 'web', addresses: ['http://127.0.0.1:8080'] });
  const { daemon, run } = await prepare(t, (response) => {
    daemon.emit({ type: 'service', service: { ...db, status: 'Starting', detail: 'booting' } });
    daemon.emit({ type: 'service', service: makeService({ name: 'cron', status: 'Starting' }) });
    daemon.emit({ type: 'service', service: db });
    sendJson(response, { services: [makeOutcome(db), makeOutcome(web)], notes: ['another project says less'] });
  });
  const { exitCode, stdout, stderr } = await run('web');
  assert.equal(stderr, 'monocore: note: another project says less\n');
  assert.equal(exitCode, 0);
  const lines = stdout.toString().trimEnd().split('\n');
  // Whether the last events are read before the reply is a race of two connections; what is said is not.
  assert.deepEqual(
    lines.filter((line) => !line.startsWith('db: booting')),
    ['db: running', 'web: running, http://127.0.0.1:8080'],
  );
  const request = daemon.requests.find(({ url }) => url === '/v1/services/start')?.body as {
    names: string[];
    config: { services: { name: string; command: string }[] };
  };
  assert.deepEqual(request.names, ['web']);
  assert.deepEqual(
    request.config.services.map(({ name, command }) => [name, command]),
    [
      ['web', '/bin/httpd'],
      ['db', '/bin/db'],
      ['cron', '/bin/crond'],
    ],
  );
});

test('changes are shown while they happen, not at the end', async (t) => {
  const cron = makeService({ name: 'cron' });
  let finish = () => {};
  const { home, daemon } = await prepare(t, (response) => {
    daemon.emit({ type: 'service', service: { ...cron, status: 'Starting', detail: 'booting' } });
    finish = () => sendJson(response, { services: [makeOutcome(cron)] });
  });
  const child = spawnCli(['--home', home, 'start', 'cron'], { cwd: home });
  const [first] = await once(child.stdout, 'data');
  assert.equal(first.toString(), 'cron: booting\n');
  finish();
  const { exitCode, stdout } = await waitForCli(child);
  assert.equal(exitCode, 0);
  assert.equal(stdout.toString(), 'cron: running\n');
});

test('the final line of a service that ended while others were starting shows its end', async (t) => {
  const cron = makeService({ name: 'cron' });
  let finish = () => {};
  const { home, daemon } = await prepare(t, (response) => {
    for (const change of [{ status: 'Starting' }, {}, { status: 'Stopped', exit_code: 3 }] as const) {
      daemon.emit({ type: 'service', service: { ...cron, ...change } });
    }
    finish = () => sendJson(response, { services: [makeOutcome(cron)] });
  });
  const child = spawnCli(['--home', home, 'start', 'cron'], { cwd: home });
  let seen = '';
  for await (const chunk of child.stdout) {
    seen += chunk;
    if (seen.includes('exited')) finish();
  }
  assert.equal(seen, 'cron: starting\ncron: running\ncron: exited (3)\n');
});

test('the final line is what status says then, and a service that has given up makes the exit code 1', async (t) => {
  const home = await makeTempDir(t);
  await writeFile(join(home, 'monocore.toml'), CONFIG);
  const started = (['web', 'db', 'cron'] as const).map((name) => makeService({ name }));
  const [web, db, cron] = started as [ServiceStatus, ServiceStatus, ServiceStatus];
  let asked = 0;
  const daemon = await startFakeDaemon(t, home, {
    'POST /v1/services/start': (response) => sendJson(response, { services: started.map((one) => makeOutcome(one)) }),
    'GET /v1/services': (response) => {
      asked += 1;
      const restarting = {
        ...cron,
        status: 'Starting',
        restarts_at: new Date(Date.now() + 5000).toISOString(),
      } as const;
      const ends = [
        { ...web, status: 'Stopped', exit_code: 3 },
        { ...db, status: 'Failed', error: 'it gave up' },
        restarting,
      ];
      const services = asked === 1 ? [{ ...web, status: 'Stopping' }, db, restarting] : ends;
      sendJson(response, { services });
      // The first answer makes the command wait for this.
      daemon.emit({ type: 'service', service: { ...web, status: 'Stopping' } });
    },
  });
  const { exitCode, stdout, stderr } = await runCli(['--home', home, 'start'], { cwd: home });
  assert.equal(exitCode, 1);
  assert.deepEqual(stdout.toString().trimEnd().split('\n').slice(-3), [
    'web: exited (3)',
    'db: failed',
    'cron: restarting in 5s',
  ]);
  assert.match(stderr, /db could not be started: it gave up/);
});

for (const [end, error] of [
  [{ exit_code: 3 }, 'it ended with exit code 3; it is tried again'],
  [{ exit_code: 139, signal: 'SIGSEGV' }, 'it ended with SIGSEGV; it is tried again'],
  [{ error: 'the guest panicked' }, 'the guest panicked; it is tried again'],
  [{ exit_code: 0 }, null],
] as const) {
  test(`a service that waits for its restart after ${JSON.stringify(end)} has ${error === null ? '' : 'not '}started`, async (t) => {
    const web = makeService({ name: 'web' });
    const restarts_at = new Date(Date.now() + 3_600_000).toISOString();
    const now = { ...web, status: 'Starting', restarts_at, last_lines: ['bye'], ...end };
    const home = await makeTempDir(t);
    await writeFile(join(home, 'monocore.toml'), CONFIG);
    await startFakeDaemon(t, home, {
      'POST /v1/services/start': (response) => sendJson(response, { services: [makeOutcome(web)] }),
      'GET /v1/services': (response) => sendJson(response, { services: [now] }),
    });
    const { exitCode, stdout, stderr } = await runCli(['--home', home, 'start', 'web'], { cwd: home });
    assert.equal(exitCode, error === null ? 0 : 1);
    assert.match(stdout.toString(), /web: restarting in /);
    const failure = `monocore: web could not be started: ${error}\n  last output:\n    bye\n`;
    assert.equal(stderr, error === null ? '' : failure);
  });
}

test('a service that cannot be started makes the exit code 1, with its error and its last lines', async (t) => {
  const { run } = await prepare(t, (response) =>
    sendJson(response, {
      services: [
        makeOutcome(makeService({ name: 'db' })),
        makeOutcome(makeService({ name: 'web', status: 'Failed' }), {
          outcome: 'failed',
          error: 'it ended with exit code 1',
          last_lines: ['bind: address in use'],
        }),
      ],
    }),
  );
  const { exitCode, stdout, stderr } = await run('web', '--attach');
  assert.equal(exitCode, 1);
  assert.equal(stdout.toString(), 'db: running\nweb: failed\n');
  assert.equal(
    stderr,
    'monocore: web could not be started: it ended with exit code 1\n  last output:\n    bind: address in use\n',
  );
});

test('an invalid config is reported with all its problems, and no daemon is asked', async (t) => {
  const { daemon, run } = await prepare(t, () => {}, '[[service]]\nname = 5\ncomand = "/bin/x"\n');
  const { exitCode, stderr } = await run();
  assert.equal(exitCode, 2);
  assert.match(stderr, /monocore\.toml:2:\d+/);
  assert.match(stderr, /monocore\.toml:3:\d+/);
  assert.deepEqual(daemon.requests, []);
});

test('a name that the config does not have is wrong usage, and no daemon is asked', async (t) => {
  const { daemon, run } = await prepare(t, () => {});
  const { exitCode, stderr } = await run('corn');
  assert.equal(exitCode, 2);
  assert.match(stderr, /no service "corn"; did you mean "cron"\?/);
  assert.deepEqual(daemon.requests, []);
});

test('a missing config is an error, and no daemon is asked', async (t) => {
  const { daemon, run } = await prepare(t, () => {});
  const { exitCode, stderr } = await run('-f', 'other.toml');
  assert.equal(exitCode, 2);
  assert.match(stderr, /other\.toml/);
  assert.deepEqual(daemon.requests, []);
});

test('a daemon that dies during the start makes the exit code 3', async (t) => {
  const { run } = await prepare(t, (response) => response.destroy());
  const { exitCode, stderr } = await run('cron');
  assert.equal(exitCode, 3);
  assert.match(stderr, /the daemon ended/);
});

test('Ctrl-C leaves the services starting and says how to stop them', async (t) => {
  const { home, daemon } = await prepare(t, () => {
    daemon.emit({ type: 'service', service: makeService({ name: 'cron', status: 'Starting' }) });
  });
  const child = spawnCli(['--home', home, 'start', 'cron'], { cwd: home });
  await once(child.stdout, 'data');
  child.kill('SIGINT');
  const { exitCode, stderr } = await waitForCli(child);
  assert.equal(exitCode, 130);
  assert.match(stderr, /keep starting.*monocore stop/);
});

test('attached, the logs of the started services follow until Ctrl-C, which stops none of them', async (t) => {
  const home = await makeTempDir(t);
  await writeFile(join(home, 'monocore.toml'), CONFIG);
  const daemon = await startFakeDaemon(t, home, {
    'POST /v1/services/start': (response) =>
      sendJson(response, { services: [makeOutcome(makeService({ name: 'cron' }))] }),
    'GET /v1/logs': (response) => response.write('a record\n'),
  });
  const beforeMs = Date.now();
  const child = spawnCli(['--home', home, 'start', 'cron', '-a'], { cwd: home });
  let seen = '';
  for await (const chunk of child.stdout) {
    seen += chunk;
    if (seen.endsWith('a record\n')) child.kill('SIGINT');
  }
  assert.equal(seen, 'cron: running\na record\n');
  assert.equal((await waitForCli(child)).exitCode, 130);
  const [logsUrl, ...others] = daemon.requests
    .map(({ url }) => url)
    .filter((url) => url.startsWith('/v1/logs') || url.includes('stop'));
  assert.deepEqual(others, []);
  const [, since] = /^\/v1\/logs\?name=cron&stream=stdout&stream=stderr&follow=true&since=(.*)$/.exec(logsUrl!)!;
  // Nothing of earlier runs.
  assert.ok(Date.parse(decodeURIComponent(since!)) >= beforeMs);
});

test("a dry run prints the daemon's plan and starts nothing", async (t) => {
  const home = await makeTempDir(t);
  await writeFile(join(home, 'monocore.toml'), CONFIG);
  const actions = [
    { name: 'old', action: 'stop', reason: 'not in the config' },
    { name: 'db', action: 'keep', reason: null },
    { name: 'web', action: 'restart', reason: 'args changed' },
  ];
  const daemon = await startFakeDaemon(t, home, {
    'POST /v1/services/plan': (response) => sendJson(response, { actions, notes: ['\x1b1 GiB is less'] }),
  });
  const { exitCode, stdout, stderr } = await runCli(['--home', home, 'start', '--dry-run', '--prune'], { cwd: home });
  assert.equal(exitCode, 0);
  assert.equal(stderr, 'monocore: note: \ufffd1 GiB is less\n');
  assert.equal(stdout.toString(), 'stop     old  not in the config\nkeep     db\nrestart  web  args changed\n');
  const body = daemon.requests.at(-1)!.body as { prune: boolean; atomic: boolean };
  assert.deepEqual([body.prune, body.atomic], [true, false]);
});

test('a dry run without a daemon starts none', async (t) => {
  const home = await makeTempDir(t);
  await writeFile(join(home, 'monocore.toml'), CONFIG);
  await mkdir(join(home, 'ended'));
  await writeFile(join(home, 'ended', 'db.json'), JSON.stringify(savedState('db', 100, stopped())));
  const { exitCode, stdout } = await runCli(['--home', home, 'start', 'web', '--dry-run'], { cwd: home });
  assert.deepEqual([exitCode, stdout.toString()], [0, 'create  web\nstart   db\n']);
  assert.equal(existsSync(join(home, 'daemon.sock')), false);
});

test('a dry run without a daemon tells which disk a first replica takes', async (t) => {
  const home = await makeTempDir(t);
  await writeFile(
    join(home, 'monocore.toml'),
    '[defaults]\ndisk = "16MiB"\n[[service]]\nname = "db"\ncommand = "/bin/db"\nreplicas = 2\n',
  );
  for (const folder of ['ended', 'disk']) await mkdir(join(home, folder));
  await writeFile(join(home, 'ended', 'db.json'), JSON.stringify(savedState('db', 100, stopped())));
  await writeFile(join(home, 'disk', 'db.img'), '');
  const dryRun = async () => (await runCli(['--home', home, 'start', '--dry-run'], { cwd: home })).stdout.toString();
  assert.equal(await dryRun(), 'create  db-1  takes the disk of db\ncreate  db-2\n');
  await writeFile(join(home, 'disk', 'db-1.img'), '');
  assert.equal(await dryRun(), 'create  db-1\ncreate  db-2\n');
});

test('a dry run without a daemon refuses the name of another project', async (t) => {
  const home = await makeTempDir(t);
  await writeFile(join(home, 'monocore.toml'), CONFIG);
  await mkdir(join(home, 'ended'));
  const state = { ...savedState('db', 100, stopped()), project: { name: 'demo', folder: '/opt/demo' } };
  await writeFile(join(home, 'ended', 'db.json'), JSON.stringify(state));
  const dryRun = (...args: string[]) => runCli(['--home', home, 'start', '--dry-run', ...args], { cwd: home });
  assert.match((await dryRun()).stderr.toString(), /service db belongs to project demo of \/opt\/demo.*--take-over/s);
  assert.equal((await dryRun('cron')).stdout.toString(), 'create  cron\n');
  assert.match((await dryRun('--take-over')).stdout.toString(), /^start +db$/m);
});

test('options that exclude each other are refused before anything is done', async (t) => {
  const { daemon, run } = await prepare(t, () => assert.fail('nothing is to be started'));
  for (const [args, message] of [
    [['web', '--prune'], '--prune takes no names'],
    [['--attach', '--watch'], 'give --attach or --watch, not both'],
    [['--watch', '--dry-run'], 'give --watch or --dry-run, not both'],
  ] as const) {
    const { exitCode, stderr } = await run(...args);
    assert.equal(exitCode, 2);
    assert.match(stderr, new RegExp(message));
  }
  assert.deepEqual(daemon.requests, []);
});

test('to prune shows what is stopped, which the config does not name', async (t) => {
  const home = await makeTempDir(t);
  await writeFile(join(home, 'monocore.toml'), CONFIG);
  const old = makeService({ name: 'old', status: 'Stopped', exit_code: 0 });
  await startFakeDaemon(t, home, {
    'POST /v1/services/plan': (response) =>
      sendJson(response, { actions: [{ name: 'old', action: 'stop', reason: 'not in the config' }] }),
    'POST /v1/services/start': (response) => sendJson(response, { services: [makeOutcome(old)] }),
  });
  const { exitCode, stdout } = await runCli(['--home', home, 'start', '--prune'], { cwd: home });
  assert.deepEqual([exitCode, stdout.toString()], [0, 'old: exited (0)\n']);
});

test('a plan has a line for each service, with the reason where there is one', () => {
  const actions = [
    { name: 'db', action: 'keep', reason: null },
    { name: 'worker', action: 'restart', reason: 'command changed from /a to /b\n\u001b[2J' },
  ] as const;
  assert.equal(
    renderPlan(actions, NO_COLORS),
    'keep     db\nrestart  worker  command changed from /a to /b\uFFFD\uFFFD[2J\n',
  );
  assert.equal(renderPlan([], NO_COLORS), '');
});
