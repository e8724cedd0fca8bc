/** `monocore logs` and `start -a` with a real daemon; the services are plain processes. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../helpers/eventually.ts';
import { type Home, makeTestHome } from '../../helpers/home.ts';

const bin = fileURLToPath(new URL('../../../dist/src/cli/bin.js', import.meta.url));

/** Rolled every few records, compressed at once. */
const LOG = 'log = { max_size = "4KiB", compress = "gzip", compress_delay = 0';

const CONFIG = `
[[service]]
name = "web"
isolation = "none"
command = "/bin/sh"
args = ["-c", "i=0; while [ $i -lt 200 ]; do echo web line $i; i=$((i+1)); done; echo a mishap >&2; exec sleep 1000"]
${LOG} }

[[service]]
name = "db"
isolation = "none"
command = "/bin/sh"
args = ["-c", "i=0; while [ $i -lt 200 ]; do echo db line $i; i=$((i+1)); done; printf '\\\\033[2Jwipe \\\\377\\\\n'; exec sleep 1000"]
${LOG}, format = "json" }
`;

async function startServices(t: TestContext): Promise<Home> {
  const home = await makeTestHome(t);
  const config = join(home.dir, 'monocore.toml');
  writeFileSync(config, CONFIG);
  await home.ok('start', '-f', config);
  await eventually('all output', async () => {
    const [web, db] = await Promise.all([home.ok('logs', '--stderr', 'web'), home.ok('logs', 'db', '-n', '1')]);
    return web.includes('a mishap') && db.includes('wipe');
  });
  return home;
}

/** The text of each record. */
const textsOf = (output: string) =>
  output
    .split('\n')
    .slice(0, -1)
    .map((line) => line.replace(/^\S+Z \S+ \[\w+\] /, ''));

/** A command that stays, and what it has printed so far. */
function stay(t: TestContext, home: Home, args: readonly string[]) {
  const child: ChildProcessByStdio<null, Readable, null> = spawn(process.execPath, [bin, ...args], {
    env: { ...process.env, MONOCORE_HOME: home.dir },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const printed = { text: '', closed: once(child, 'close'), interrupt: () => child.kill('SIGINT') };
  child.stdout.on('data', (chunk) => {
    printed.text += chunk;
  });
  return printed;
}

test('what services printed is found by text and by time, in text and in JSON, whatever its files', async (t) => {
  const home = await startServices(t);
  assert.deepEqual(textsOf(await home.ok('logs', '--grep', 'LINE 1?99$', '-i', '--stdout')).sort(), [
    ...['db line 199', 'db line 99', 'web line 199', 'web line 99'],
  ]);
  assert.deepEqual(textsOf(await home.ok('logs', 'web', '--grep', 'line .*7$', '-n', '2')), [
    'web line 187',
    'web line 197',
  ]);
  assert.equal(textsOf(await home.ok('logs', 'web', 'db', '--stdout', '--since', '10m')).length, 401);
  assert.equal(await home.ok('logs', '--until', '10m'), '');
  assert.equal(await home.ok('logs', '--since', '2999-01-01T00:00:00Z'), '');
  assert.deepEqual(textsOf(await home.ok('logs', 'db', '-n', '1')), ['\u001b[2Jwipe \ufffd']);

  const json = (await home.ok('logs', '--json', '--grep', 'line 5$|mishap|wipe', '--stdout', '--stderr'))
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    json.map(({ level, service, stream, msg }) => ({ level, service, stream, msg: String(msg) })).sort(byText),
    [
      { level: 50, service: 'web', stream: 'stderr', msg: 'a mishap' },
      { level: 30, service: 'db', stream: 'stdout', msg: 'db line 5' },
      { level: 30, service: 'web', stream: 'stdout', msg: 'web line 5' },
      { level: 30, service: 'db', stream: 'stdout', msg: '\u001b[2Jwipe \ufffd' },
    ].sort(byText),
  );

  const follower = stay(t, home, ['logs', 'web', '-f', '--grep', 'line 3$']);
  await eventually('the past', () => follower.text.includes('web line 3\n'));
  await home.ok('restart', 'web');
  await eventually('the news', () => follower.text.split('web line 3\n').length === 3);
  follower.interrupt();
  await follower.closed;
});

test('start -a shows what services print from their start on, and nothing of before', async (t) => {
  const home = await startServices(t);
  await home.ok('stop', 'web');
  const attached = stay(t, home, ['start', '-f', join(home.dir, 'monocore.toml'), 'web', '-a']);
  await eventually('the output', () => ['a mishap', 'web line 199\n'].every((line) => attached.text.includes(line)));
  attached.interrupt();
  await attached.closed;
  const texts = textsOf(attached.text).filter((line) => line.startsWith('web line'));
  assert.deepEqual(
    texts,
    Array.from({ length: 200 }, (_, index) => `web line ${index}`),
  );
});

const byText = (a: { msg: string }, b: { msg: string }) => (a.msg < b.msg ? -1 : 1);

test('following goes on after the file was truncated, in the next file', async (t) => {
  const home = await makeTestHome(t);
  const config = join(home.dir, 'monocore.toml');
  const script = 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done';
  writeFileSync(
    config,
    `[[service]]\nname = "web"\nisolation = "none"\ncommand = "/bin/sh"\nargs = ["-c", "${script}"]\n`,
  );
  await home.ok('start', '-f', config);
  const printed = stay(t, home, ['logs', '-f', 'web']);
  await eventually('some lines', () => textsOf(printed.text).length > 40);
  truncateSync(join(home.dir, 'log/web.stdout.000001.log'));
  const last = () => Number(textsOf(printed.text).at(-1)!.split(' ')[1]);
  const seen = last();
  // Had the reader waited until the file has its old size again, as many lines would be missing.
  await eventually(
    'lines of the next file',
    () => last() > seen && home.lines('web', 'stdout').includes(`line ${last()}`),
  );
  assert.equal(readlinkSync(join(home.dir, 'log/web.stdout.log')), 'web.stdout.000002.log');
});
