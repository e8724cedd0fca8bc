/** The daemon as a process: its signals, and what a service manager hears of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { DaemonClient } from '../../src/cli/client.ts';
import type { Service } from '../../src/protocol/service.ts';
import { HomePaths } from '../../src/state/paths.ts';
import { mountFreezableDisk } from '../helpers/disks/freezable-disk.ts';
import { eventually } from '../helpers/eventually.ts';
import { configOf, scriptService } from '../helpers/fakes/services.ts';
import { findProcesses } from '../helpers/processes/command-lines.ts';
import { spawnCli } from '../helpers/processes/run-cli.ts';
import { receiveNotifications } from '../helpers/servers/notify-socket.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

const EVERYTHING = { names: [], group: null };
const ONE_HOUR_MS = 3600e3;
/** A command without a process that outlives its shell. */
const IDLE = 'while :; do sleep 0.1; done';
/** A command that only SIGKILL ends. */
const STUBBORN = `trap '' TERM INT; ${IDLE}`;

/** A daemon in the foreground that answers. */
interface TestDaemon {
  readonly pid: number;
  readonly home: string;
  readonly client: DaemonClient;
  start(...services: Service[]): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** Its exit code or the signal that ended it, once it has. */
  readonly ended: Promise<number | string>;
}

/** Runs `daemon run` on a new home; what is left of it and of its services is killed when the test has ended. */
async function runDaemon(
  t: TestContext,
  options: { readonly args?: readonly string[]; readonly env?: NodeJS.ProcessEnv; readonly home?: string } = {},
): Promise<TestDaemon> {
  const home = options.home ?? (await makeTempDir(t));
  const paths = new HomePaths(home);
  const child = spawnCli(['--home', home, 'daemon', 'run', ...(options.args ?? [])], { env: options.env ?? {} });
  const ended = once(child, 'exit').then(([code, signal]) => code ?? signal);
  defer(t, async () => {
    child.kill('SIGKILL');
    await ended;
    for (const { pid } of findProcesses(home)) process.kill(pid, 'SIGKILL');
    await eventually('all processes to end', () => findProcesses(home).length === 0);
  });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await eventually('the daemon to be ready', () => {
    if (child.exitCode !== null) throw new Error(output);
    return output.includes('is ready');
  });
  const client = new DaemonClient(paths.socket);
  return {
    pid: child.pid!,
    home,
    client,
    ended,
    signal: (signal) => process.kill(child.pid!, signal),
    async start(...services) {
      const { services: outcomes } = await client.start({ ...EVERYTHING, config: configOf(services) });
      for (const { outcome, error } of outcomes) assert.equal(outcome, 'changed', error ?? '');
    },
  };
}

/** A service without a VM, whose processes have the home in their command line. */
function plainService(home: string, name: string, script: string, overrides: Partial<Service> = {}): Service {
  return scriptService(name, `: ${home}; ${script}`, { isolation: 'none', ...overrides });
}

async function statusOf({ client }: TestDaemon, name: string) {
  const { services } = await client.services({ names: [name], group: null });
  return services[0]!;
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} stops the services in order, a second one kills what does not end`, async (t) => {
    const daemon = await runDaemon(t);
    const { home } = daemon;
    await daemon.start(
      plainService(home, 'polite', IDLE),
      plainService(home, 'stubborn', STUBBORN, { stop_timeout_ms: ONE_HOUR_MS }),
    );
    daemon.signal(signal);
    await eventually('the polite one to end', async () => (await statusOf(daemon, 'polite')).status === 'Stopped');
    assert.equal((await statusOf(daemon, 'stubborn')).status, 'Stopping');
    daemon.signal(signal);
    assert.equal(await daemon.ended, 0);
    assert.deepEqual(findProcesses(home), []);
    const record = JSON.parse(readFileSync(new HomePaths(home).endedFile('stubborn'), 'utf8'));
    assert.equal(record.exit.signal, 'SIGKILL');
  });
}

test('SIGTERM to a daemon that is to leave its services running does so, however often', async (t) => {
  const daemon = await runDaemon(t, { args: ['--leave-running'] });
  const { home } = daemon;
  await daemon.start(plainService(home, 'web', IDLE));
  const { pid } = await statusOf(daemon, 'web');
  daemon.signal('SIGTERM');
  daemon.signal('SIGTERM');
  assert.equal(await daemon.ended, 0);
  const next = await runDaemon(t, { home });
  assert.equal((await statusOf(next, 'web')).pid, pid);
  assert.deepEqual((await next.client.daemon()).settings, {
    log_level: 'info',
    log_workers: 1,
    background: false,
    leave_running: false,
  });
});

test('SIGHUP does nothing', async (t) => {
  const daemon = await runDaemon(t);
  daemon.signal('SIGHUP');
  daemon.signal('SIGHUP');
  assert.equal((await daemon.client.daemon()).pid, daemon.pid);
  daemon.signal('SIGTERM');
  assert.equal(await daemon.ended, 0);
});

test('a service manager hears of readiness, life, services and the end; services never hear of it', async (t) => {
  const manager = await receiveNotifications(t);
  const daemon = await runDaemon(t, {
    env: { PATH: manager.searchPath, NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: '1000000' },
  });
  const { home } = daemon;
  await manager.until('READY=1');
  assert.deepEqual(manager.messages[0], ['READY=1', 'STATUS=0 services, 0 running']);
  await manager.until('WATCHDOG=1');
  await daemon.start(plainService(home, 'web', STUBBORN, { stop_timeout_ms: ONE_HOUR_MS }));
  await manager.until('STATUS=1 service, 1 running');
  const { pid } = await statusOf(daemon, 'web');
  assert.doesNotMatch(readFileSync(`/proc/${pid}/environ`, 'latin1'), /NOTIFY|WATCHDOG/);
  daemon.signal('SIGTERM');
  const stopping = await manager.until('STOPPING=1');
  const moreTime = 'EXTEND_TIMEOUT_USEC=1000000';
  assert.deepEqual(manager.messages[stopping], ['STOPPING=1', 'STATUS=stopping all services', moreTime]);
  const next = await manager.until(moreTime, stopping + 1);
  await manager.until(moreTime, next + 1);
  daemon.signal('SIGTERM');
  assert.equal(await daemon.ended, 0);
});

test('a daemon with a log worker that hangs gives no sign of life until it works again', async (t) => {
  const manager = await receiveNotifications(t);
  const disk = await mountFreezableDisk(t);
  const home = await makeTempDir(t);
  // The one log file that is on the disk.
  const far = join(disk.dir, 'far.log');
  writeFileSync(far, '');
  mkdirSync(join(home, 'log'));
  symlinkSync(far, join(home, 'log', 'web.stdout.000001.log'));
  const daemon = await runDaemon(t, {
    home,
    env: { PATH: manager.searchPath, NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: '1000000' },
  });
  defer(t, () => disk.thaw());
  await manager.until('WATCHDOG=1');
  const go = join(home, 'go');
  await daemon.start(plainService(home, 'web', `until [ -e ${go} ]; do sleep 0.1; done; echo a line; ${IDLE}`));
  disk.freeze();
  writeFileSync(go, '');
  const log = join(home, 'log', 'monocore.1.log');
  await eventually('the report', () => /a keep-alive/.test(readFileSync(log, 'utf8')));
  const count = manager.messages.length;
  disk.thaw();
  await manager.until('WATCHDOG=1', count);
  await eventually('the line', () => readFileSync(far, 'utf8').includes('a line'));
});

test('a daemon whose socket cannot be opened ends with the reason', async (t) => {
  const home = await makeTempDir(t);
  mkdirSync(join(home, 'daemon.sock'));
  writeFileSync(join(home, 'daemon.sock', 'file'), '');
  const child = spawnCli(['--home', home, 'daemon', 'run']);
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 3);
  assert.match(output, /^monocore: .*daemon\.sock/);
});

test('a service that always runs comes back with the next daemon after a signal, but not after a stop by the user', async (t) => {
  const first = await runDaemon(t);
  const restart = { when: 'unless-stopped', max_restarts: null, reset_ms: 60_000, max_memory_bytes: null } as const;
  await first.start(
    plainService(first.home, 'kept', IDLE, { restart }),
    plainService(first.home, 'stopped', IDLE, { restart }),
    plainService(first.home, 'once', IDLE),
  );
  await first.client.stop({ names: ['stopped'], group: null, timeout_ms: null });
  first.signal('SIGTERM');
  assert.equal(await first.ended, 0);
  assert.deepEqual(findProcesses(first.home), []);

  const second = await runDaemon(t, { home: first.home });
  await eventually('the service to be back', async () => (await statusOf(second, 'kept')).status === 'Started');
  assert.deepEqual(
    [(await statusOf(second, 'kept')).restarts, (await statusOf(second, 'kept')).last_restart_reason],
    [1, 'the daemon was started'],
  );
  assert.equal((await statusOf(second, 'stopped')).status, 'Stopped');
  assert.equal((await statusOf(second, 'once')).status, 'Stopped');
  await second.client.stopDaemon({ leave_running: false });
  assert.equal(await second.ended, 0);

  const third = await runDaemon(t, { home: first.home });
  assert.equal((await statusOf(third, 'kept')).status, 'Stopped', 'daemon stop is a stop by the user');
});
