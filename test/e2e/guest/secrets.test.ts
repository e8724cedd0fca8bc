// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the test is about such references
/** Secrets and variables in real guests, and that nothing of them is left anywhere else. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { MAX_SECRET_BYTES } from '../../../src/vm/host/secrets.ts';
import { eventually } from '../../helpers/eventually.ts';
import { healthCheck } from '../../helpers/fakes/health-check.ts';
import { configOf, scriptService } from '../../helpers/fakes/services.ts';
import { findProcesses } from '../../helpers/processes/command-lines.ts';
import { startFixture } from '../../helpers/processes/fixture.ts';
import { openTestRuntime } from '../../helpers/runtime.ts';
import { defer, makeTempDir } from '../../helpers/temp.ts';
import { makeGuestHost } from '../../helpers/vm/guest.ts';

const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex');

/** Each byte that there is, then what a shell would take away. */
const ALL_BYTES = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)), Buffer.from('\n\n')]);

/** Files below a folder, links not followed, that have one of `texts` in them. */
function findInFiles(dir: string, texts: readonly Buffer[]): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return findInFiles(path, texts);
    return entry.isFile() && texts.some((text) => readFileSync(path).includes(text)) ? [path] : [];
  });
}

/** Processes that have one of `texts` in their arguments. */
function findInArguments(texts: readonly string[]): string[] {
  return texts.flatMap((text) => findProcesses(text).map(({ commandLine }) => commandLine));
}

it('a guest has its secrets in memory, for its user alone, and they are nowhere else', async (t) => {
  const dir = await makeTempDir(t);
  const token = `token-${randomBytes(16).toString('hex')}`;
  const variable = `variable-${randomBytes(16).toString('hex')}`;
  const contents = {
    token: Buffer.from(`${token}\n`),
    'all bytes': ALL_BYTES,
    "it's.empty": Buffer.alloc(0),
    largest: randomBytes(MAX_SECRET_BYTES),
  };
  const secrets = Object.entries(contents).map(([name, content]) => {
    const path = join(dir, name);
    writeFileSync(path, content);
    return { name, path };
  });
  const script = `
    for name in token 'all bytes' "it's.empty" largest; do
      sha256sum <"/run/secrets/$name"
      stat -c '%n %a %u %g' "/run/secrets/$name"
    done
    ls /run/secrets
    stat -c '%a %u %g' /run/secrets
    grep ' /run/secrets tmpfs ' /proc/mounts
    echo "$LITERAL"
    echo end
    exec sleep 1000`;
  const envs = { SECRET: variable, LITERAL: '$$ $1 ${SECRET}' };
  // What is checked is part of the config, where the values themselves would be found.
  const check = `[ "$(echo "$SECRET" | sha256sum)" = "${sha256(Buffer.from(`${variable}\n`))}  -" ] && [ -s /run/secrets/token ]`;
  const service = scriptService('holder', script, {
    secrets,
    envs,
    disk_mib: 16,
    healthcheck: healthCheck({
      probe: { type: 'exec', command: ['sh', '-c', check] },
      interval_ms: 500,
      timeout_ms: 10_000,
    }),
  });

  const host = await openTestRuntime();
  defer(t, () => host.close());
  const { services } = await host.orchestrator.start({ ...configOf([service]) });
  assert.equal(services[0]!.error, null);
  await eventually('the guest to be healthy', () => host.orchestrator.services()[0]!.health === 'healthy');
  await eventually('its last line', () => host.lines('holder', 'stdout').at(-1) === 'end');

  // Variables are in the state file, for the daemon's user alone.
  const texts = [Buffer.from(token), ALL_BYTES, contents.largest.subarray(0, 16)];
  const folders = ['run', 'log', 'ended', 'disk'].map((name) => join(host.home, name));
  const findAnywhere = () => [
    ...folders.flatMap((folder) => findInFiles(folder, texts)),
    ...findInArguments([token, variable]),
  ];
  assert.deepEqual(findAnywhere(), []);
  const keepers = findInFiles(host.home, [Buffer.from(variable)]);
  assert.deepEqual(keepers, [join(host.home, 'run', 'holder.json')]);
  assert.equal(statSync(keepers[0]!).mode & 0o777, 0o600);
  const told = Buffer.from(JSON.stringify([host.orchestrator.services(), host.reports]));
  for (const text of [...texts, variable]) assert.ok(!told.includes(text));

  const lines = host.lines('holder', 'stdout');
  const expected = Object.entries(contents).flatMap(([name, content]) => [
    `${sha256(content)}  -`,
    `/run/secrets/${name} 400 0 0`,
  ]);
  assert.deepEqual(lines.slice(0, 8), expected);
  assert.deepEqual(lines.slice(8, 13), [...Object.keys(contents).sort(), '500 0 0']);
  assert.match(lines[13]!, /^secrets \/run\/secrets tmpfs rw,nosuid,nodev,noexec,.*mode=500/);
  assert.deepEqual(lines.slice(14), ['$$ $1 ${SECRET}', 'end']);

  await host.orchestrator.stop();
  assert.deepEqual(findAnywhere(), []);

  // Read at each start.
  unlinkSync(secrets[0]!.path);
  const [missing] = (await host.orchestrator.start(configOf([service]))).services;
  assert.equal(missing!.error, `the secret token of holder cannot be read from ${secrets[0]!.path}: it does not exist`);
  assert.deepEqual(readdirSync(join(host.home, 'run')), []);
});

it('a guest that waits for its job gets secrets, variables and volumes from the next daemon', async (t) => {
  const host = await makeGuestHost(t);
  const dir = await makeTempDir(t);
  writeFileSync(join(dir, 'key'), ALL_BYTES);
  const script = 'cat /run/secrets/key; echo "[$VALUE]"; echo written >/data/new';
  const service = scriptService('orphan', script, {
    secrets: [{ name: 'key', path: join(dir, 'key') }],
    volumes: [{ host: dir, guest: '/data', read_only: false }],
    envs: { VALUE: 'a value' },
  });
  const launcher = startFixture(t, 'dying-launcher.ts', [host.paths.home, JSON.stringify(service)]);
  const identity = JSON.parse(await launcher.readLine());
  await eventually('its launcher to die', () => !existsSync(`/proc/${launcher.pid}`));
  const guest = await host.adopt(service, identity);
  const stdout = guest.read('stdout');
  const others = [guest.read('stderr'), guest.read('console')];
  assert.equal((await guest.event('job-exited')).exit.code, 0);
  await eventually('the last line', () => stdout.endsWith('[a value]\n'));
  guest.vm.kill('SIGKILL');
  await guest.event('process-ended');
  const printed = await stdout.ended;
  await Promise.all(others.map(({ ended }) => ended));
  assert.deepEqual(printed, Buffer.concat([ALL_BYTES, Buffer.from('[a value]\n')]));
  assert.equal(readFileSync(join(dir, 'new'), 'utf8'), 'written\n');
  await eventually('virtiofsd to end with QEMU', () => findProcesses(host.paths.home).length === 0);
});

it('a guest whose secret is gone when the next daemon comes is not given its job', async (t) => {
  const host = await makeGuestHost(t);
  const dir = await makeTempDir(t);
  writeFileSync(join(dir, 'key'), 'key');
  const service = scriptService('orphan', 'echo never', {
    secrets: [{ name: 'key', path: join(dir, 'key') }],
    volumes: [{ host: dir, guest: '/data', read_only: false }],
  });
  const launcher = startFixture(t, 'dying-launcher.ts', [host.paths.home, JSON.stringify(service)]);
  const identity = JSON.parse(await launcher.readLine());
  unlinkSync(join(dir, 'key'));
  const guest = await host.adopt(service, identity);
  const streams = (['stdout', 'stderr', 'console'] as const).map((stream) => guest.read(stream));
  assert.match(
    (await guest.event('job-failed')).error,
    /^the secret key of orphan cannot be read from .*: it does not exist$/,
  );
  // It is watched for its VM, whoever started it.
  for (const { pid } of findProcesses(`--socket-path=${host.paths.vm('orphan').share}`)) process.kill(pid, 'SIGKILL');
  await guest.event('process-ended');
  assert.equal((await streams[0]!.ended).length, 0);
  assert.deepEqual(findProcesses(host.paths.home), []);
});
