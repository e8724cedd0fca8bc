import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import test from 'node:test';
import { makeTempDir } from '../../helpers/temp.ts';
import { startFakeDaemon } from '../fake-daemon.ts';
import { runCli, spawnCli, waitForCli } from '../run-cli.ts';

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

test('streams, count and following are what the options say', async (t) => {
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

test('a reader that goes away ends the command quietly', async (t) => {
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
