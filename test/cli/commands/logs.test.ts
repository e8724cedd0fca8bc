import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import test from 'node:test';
import { writeStoredLogs } from '../../../src/cli/commands/logs.ts';
import { NO_COLORS } from '../../../src/cli/render/terminal-text.ts';
import { ERROR_TRAILER } from '../../../src/protocol/http.ts';
import { HomePaths } from '../../../src/state/paths.ts';
import { startFakeDaemon } from '../../helpers/fakes/fake-daemon.ts';
import { savedState } from '../../helpers/fakes/saved-states.ts';
import { stopped } from '../../helpers/fakes/states.ts';
import { runCli, spawnCli, waitForCli } from '../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const HEAD = Buffer.from('2026-11-23T08:00:00.123Z INFO [web] ');

test('records come out byte for byte, whatever their encoding', async (t) => {
  const home = await makeTempDir(t);
  // All byte values, a lone continuation byte, an overlong form, and more than fits a pipe.
  const allBytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const records = Buffer.concat([HEAD, allBytes, Buffer.of(0x80, 0xc0, 0xaf, 10), HEAD, randomBytes(1 << 20)]);
  const daemon = await startFakeDaemon(t, home, { 'GET /v1/logs': (response) => response.end(records) });
  const { exitCode, stdout } = await runCli(['--home', home, 'logs', 'web'], { env: { FORCE_COLOR: '1' } });
  assert.equal(exitCode, 0);
  assert.ok(stdout.equals(records));
  assert.equal(daemon.requests.at(-1)?.url, '/v1/logs?name=web&stream=stdout&stream=stderr');
});

test('the options select streams, count and following', async (t) => {
  const home = await makeTempDir(t);
  const daemon = await startFakeDaemon(t, home, { 'GET /v1/logs': (response) => response.end() });
  await runCli(['--home', home, 'log', '--console', '--stderr', '-n', '3']);
  await runCli(['--home', home, 'logs', 'web', '-f']);
  await runCli(['--home', home, 'logs', 'web', '-f', '-n', '0']);
  assert.deepEqual(
    daemon.requests.map(({ url }) => url).filter((url) => url.startsWith('/v1/logs')),
    [
      '/v1/logs?stream=stderr&stream=console&tail=3',
      '/v1/logs?name=web&stream=stdout&stream=stderr&tail=10&follow=true',
      '/v1/logs?name=web&stream=stdout&stream=stderr&tail=0&follow=true',
    ],
  );
});

test('the command ends quietly when its reader goes away', async (t) => {
  const home = await makeTempDir(t);
  await startFakeDaemon(t, home, {
    'GET /v1/logs': async (response) => {
      const records = Buffer.alloc(64 * 1024, 'a record\n');
      while (!response.destroyed) {
        if (!response.write(records)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
      }
    },
  });
  const child = spawnCli(['--home', home, 'logs', '-f']);
  await once(child.stdout, 'data');
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  await once(child, 'close');
  assert.equal(child.exitCode, 0);
  assert.equal(stderr, '');
});

test('Ctrl-C ends following with 130', async (t) => {
  const home = await makeTempDir(t);
  await startFakeDaemon(t, home, { 'GET /v1/logs': (response) => response.write('a record\n') });
  const child = spawnCli(['--home', home, 'logs', '-f']);
  await once(child.stdout, 'data');
  child.kill('SIGINT');
  const { exitCode, stderr } = await waitForCli(child);
  assert.equal(exitCode, 130);
  assert.equal(stderr, '');
});

test('a daemon that dies while its logs are followed makes the exit code 3', async (t) => {
  const home = await makeTempDir(t);
  await startFakeDaemon(t, home, {
    'GET /v1/logs': (response) => response.write('a record\n', () => setImmediate(() => response.destroy())),
  });
  const { exitCode, stdout, stderr } = await runCli(['--home', home, 'logs', '-f']);
  assert.equal(exitCode, 3);
  assert.equal(stdout.toString(), 'a record\n');
  assert.match(stderr, /^monocore: the daemon ended/);
});

/** Parameters of the request for logs. */
function parametersOf(daemon: { readonly requests: readonly { readonly url: string }[] }): URLSearchParams {
  const { url } = daemon.requests.find((request) => request.url.startsWith('/v1/logs'))!;
  return new URL(url, 'http://localhost').searchParams;
}

test('times and a pattern are passed on; a duration counts back from now', async (t) => {
  const home = await makeTempDir(t);
  const daemon = await startFakeDaemon(t, home, { 'GET /v1/logs': (response) => response.end() });
  const beforeMs = Date.now();
  const options = ['-f', '--since', '2h30m', '--until', '2999-01-01T00:00:00+01:00', '--grep', '^a+', '-i', '--stderr'];
  assert.equal((await runCli(['--home', home, 'logs', ...options])).exitCode, 0);
  const { since, ...others } = Object.fromEntries(parametersOf(daemon));
  assert.deepEqual(others, {
    ...{ stream: 'stderr', follow: 'true', until: '2998-12-31T23:00:00.000Z', grep: '^a+', ignore_case: 'true' },
  });
  const agoMs = Date.parse(since!) + 9000e3;
  assert.ok(agoMs >= beforeMs && agoMs <= Date.now());
});

test('an invalid time or pattern is wrong usage, and no request is made', async (t) => {
  const home = await makeTempDir(t);
  const daemon = await startFakeDaemon(t, home, {});
  for (const [options, message] of [
    [['--since', 'yesterday'], /--since.*Give a time with its zone/],
    [['--since', '2026-11-23T08:00:00'], /--since.*with its zone/],
    [['--since', '1763884800'], /--since/],
    [['--until', '2026-02-30T08:00:00Z'], /--until/],
    [['--grep', '('], /--grep.*Unterminated group/],
    [['--grep', ''], /--grep/],
    [['-i'], /--ignore-case has no effect without --grep/],
    [['--since', '1m', '--until', '2m'], /--since is after --until/],
  ] as const) {
    const { exitCode, stderr } = await runCli(['--home', home, 'logs', ...options]);
    assert.equal(exitCode, 2, stderr);
    assert.match(stderr, message);
  }
  assert.deepEqual(daemon.requests, []);
});

test('JSON records are shown as text, and --json makes all records JSON', async (t) => {
  const home = await makeTempDir(t);
  const json = '{"level":50,"time":1795420800123,"service":"db","stream":"stderr","msg":"\\u001b[1mx"}\n';
  await startFakeDaemon(t, home, { 'GET /v1/logs': (response) => response.end(`${HEAD}hello\n${json}`) });
  const text = await runCli(['--home', home, 'logs']);
  const shown = `${new Date(1795420800123).toISOString()} ERROR [db] \u001b[1mx\n`;
  assert.equal(text.stdout.toString(), `${HEAD}hello\n${shown}`);
  const { stdout } = await runCli(['--home', home, 'logs', '--json']);
  const time = Date.parse('2026-11-23T08:00:00.123Z');
  assert.equal(
    stdout.toString(),
    `{"level":30,"time":${time},"service":"web","stream":"stdout","msg":"hello"}\n${json}`,
  );
});

test('an answer that fails at its end is a failure with its reason', async (t) => {
  const home = await makeTempDir(t);
  const error = {
    code: 'Aborted',
    message: 'the pattern was at a single record for ever',
    details: null,
    cause_code: null,
  };
  await startFakeDaemon(t, home, {
    'GET /v1/logs': (response) => {
      response.writeHead(200, { trailer: ERROR_TRAILER });
      response.write('a record\n');
      response.addTrailers({ [ERROR_TRAILER]: encodeURIComponent(JSON.stringify(error)) });
      response.end();
    },
  });
  const { exitCode, stdout, stderr } = await runCli(['--home', home, 'logs', '--grep', 'x']);
  assert.equal(exitCode, 1);
  assert.equal(stdout.toString(), 'a record\n');
  assert.equal(stderr, 'monocore: the pattern was at a single record for ever\n');
});

test('without a daemon the log files of the project are printed, and of no other one', async (t) => {
  const paths = new HomePaths(await makeTempDir(t));
  for (const folder of [paths.endedDir, paths.logDir]) await mkdir(folder);
  const shop = { name: 'shop', folder: '/srv/shop' };
  await writeFile(paths.endedFile('web'), JSON.stringify({ ...savedState('web', 100, stopped()), project: shop }));
  await writeFile(`${paths.logDir}/web.stdout.000001.log`, `${HEAD}hello\n`);
  const print = async (project: typeof shop): Promise<string> => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()] as unknown as NodeJS.WriteStream[];
    const context = { paths, stdout: stdout!, stderr: stderr!, colors: NO_COLORS };
    const query = { services: [], streams: ['stdout'], tail: null, follow: false } as const;
    assert.equal(await writeStoredLogs(context, { names: [], group: null, project }, query, 'text'), 0);
    return String((stdout as unknown as PassThrough).read() ?? '');
  };
  assert.equal(await print(shop), `${HEAD}hello\n`);
  assert.equal(await print({ ...shop, folder: '/srv/other' }), '');
});
