/** The peers of plain processes: a bare loop of `child_process.spawn`, and pm2. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Service } from '../../src/protocol/service.ts';
import { ownCommand } from '../../src/vm/host/service-command.ts';

const run = promisify(execFile);

const PM2 = 'pm2@7.0.4';

/** Seconds until all of them are spawned, each with files for its output and nobody who looks after it. */
export async function runSpawnLoop(dir: string, services: readonly Service[]): Promise<number> {
  mkdirSync(dir, { recursive: true });
  const children: ChildProcess[] = [];
  const beganAt = performance.now();
  for (const service of services) {
    const { command, args, envs } = ownCommand(service);
    const [out, err] = ['out', 'err'].map((kind) => openSync(join(dir, `${service.name}.${kind}`), 'a'));
    const child = spawn(command, args, {
      env: { ...process.env, ...envs },
      stdio: ['ignore', out!, err!],
      detached: true,
    });
    for (const fd of [out!, err!]) closeSync(fd);
    children.push(child);
  }
  await Promise.all(children.map((child) => once(child, 'spawn')));
  const seconds = (performance.now() - beganAt) / 1000;
  for (const child of children) process.kill(-child.pid!, 'SIGKILL');
  await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')));
  return seconds;
}

/** Seconds until `pm2 start` has answered; null where it cannot be installed from the npm registry. */
export async function runPm2(dir: string, services: readonly Service[]): Promise<number | null> {
  const prefix = join(dir, 'pm2');
  try {
    await run('npm', ['install', '--prefix', prefix, '--no-audit', '--no-fund', '--loglevel=error', PM2]);
  } catch {
    return null;
  }
  const command = join(prefix, 'node_modules', '.bin', 'pm2');
  const env = { ...process.env, PM2_HOME: join(dir, 'pm2-home'), PM2_DISABLE_VERSION_CHECK: 'true' };
  const apps = services.map((service) => {
    const { command: script, args, envs } = ownCommand(service);
    return { name: service.name, script, args, interpreter: 'none', autorestart: false, env: envs };
  });
  const config = join(dir, 'ecosystem.json');
  writeFileSync(config, JSON.stringify({ apps }));
  try {
    await run(command, ['ping'], { env });
    const beganAt = performance.now();
    await run(command, ['start', config], { env, maxBuffer: 64 * 2 ** 20 });
    return (performance.now() - beganAt) / 1000;
  } finally {
    await run(command, ['kill'], { env });
  }
}
