/** pm2: its daemon starts the producer, puts a time before each line and appends to one file. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { readCpuMs } from '../../../test/helpers/processes/usage.ts';
import type { Contender, Cost, Run } from './contender.ts';
import { type WaitingProducer, writeProducerScript } from './producer-script.ts';

const run = promisify(execFile);

const VERSION = '7.0.4';
/**
 * Idle time after the end of the producer, after which pm2 counts as done, because it does not report its end. The time
 * of the last write is that of the file.
 */
const QUIET_MS = 500;
const QUIET_CPU_SECONDS = 0.05;

let command = '';

/** It comes from the npm registry into the folder of the measurement; the host's own pm2 is left alone. */
export const pm2: Contender = { name: 'pm2', stamps: true, rolls: 'no', share: 1 / 16, prepare, measure };

async function prepare(dir: string): Promise<string | null> {
  const prefix = join(dir, 'pm2');
  try {
    await run('npm', ['install', '--prefix', prefix, '--no-audit', '--no-fund', '--loglevel=error', `pm2@${VERSION}`]);
  } catch {
    return `npm could not install pm2@${VERSION}`;
  }
  command = join(prefix, 'node_modules', '.bin', 'pm2');
  return null;
}

async function measure(task: Run): Promise<Cost> {
  const home = join(task.dir, 'home');
  const env = { ...process.env, PM2_HOME: home, PM2_DISABLE_VERSION_CHECK: 'true' };
  const producer = writeProducerScript(task);
  const logs = ['--time', '--merge-logs', '--output', join(task.outDir, 'out'), '--error', join(task.outDir, 'err')];
  try {
    await run(command, ['start', producer.path, '--interpreter', 'none', '--no-autorestart', ...logs], { env });
    const pid = Number(readFileSync(join(home, 'pm2.pid'), 'utf8'));
    const cpuBefore = readCpuMs(pid) / 1000;
    await producer.release();
    const startedAtMs = Date.now();
    const cpuAfter = await untilIdle(pid, producer);
    return { seconds: (lastWriteMs(task.outDir) - startedAtMs) / 1000, cpuSeconds: cpuAfter - cpuBefore };
  } finally {
    await run(command, ['kill'], { env });
  }
}

/** Returns its CPU seconds. */
async function untilIdle(pid: number, producer: WaitingProducer): Promise<number> {
  for (let before = readCpuMs(pid) / 1000; ; ) {
    await setTimeout(QUIET_MS);
    const now = readCpuMs(pid) / 1000;
    if (producer.hasEnded() && now - before < QUIET_CPU_SECONDS) return now;
    before = now;
  }
}

function lastWriteMs(dir: string): number {
  return Math.max(...readdirSync(dir).map((name) => statSync(join(dir, name)).mtimeMs));
}
