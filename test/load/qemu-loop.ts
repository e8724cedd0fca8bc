/** The peer of VMs: the same QEMU command lines in a shell loop, as many at a time, until the same first lines came. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderJobScript } from '../../src/vm/guest/job.ts';
import { ownCommand } from '../../src/vm/host/service-command.ts';
import { findProcess } from '../chaos/processes.ts';
import { comesTrue } from '../chaos/waiting.ts';
import type { LoadOptions } from './options.ts';
import { CONCURRENT_BOOTS } from './run.ts';
import { loadService } from './workload.ts';

const BOOT = fileURLToPath(new URL('./boot.pl', import.meta.url));
const END_TIMEOUT_MS = 30_000;

/**
 * @param commandLines of the VM processes as monocore started them, by service
 * @returns seconds until the last of them had printed its first line
 */
export async function runQemuLoop(
  dir: string,
  commandLines: ReadonlyMap<string, readonly string[]>,
  options: LoadOptions,
): Promise<number> {
  const folders = [...commandLines].map(([name, args]) => prepare(join(dir, name), name, args, options));
  const beganAt = performance.now();
  const loop = spawn('xargs', ['-P', String(CONCURRENT_BOOTS), '-n', '1', 'perl', BOOT], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  loop.stdin.end(`${folders.join('\n')}\n`);
  const [code] = await once(loop, 'close');
  const seconds = (performance.now() - beganAt) / 1000;
  const pids = folders.map((folder) => Number(readFileSync(join(folder, 'pid'), 'utf8')));
  for (const pid of pids) if (findProcess(pid)) process.kill(pid, 'SIGKILL');
  if (!(await comesTrue(END_TIMEOUT_MS, () => pids.every((pid) => findProcess(pid) === null)))) {
    throw new Error('VMs of the shell loop do not end');
  }
  if (code !== 0) throw new Error(`the shell loop ended with ${code}`);
  return seconds;
}

/** A folder that stands for the runtime folder of the service. */
function prepare(folder: string, name: string, args: readonly string[], options: LoadOptions): string {
  mkdirSync(folder, { recursive: true });
  const control = args.find((arg) => arg.includes('path=') && arg.includes('control.sock')) ?? '';
  const [, socketPath = ''] = /path=([^,]*control\.sock)/.exec(control) ?? [];
  if (basename(socketPath) !== 'control.sock') throw new Error(`${name} has no control socket in its command line`);
  const moved = args.map((arg) => arg.replaceAll(dirname(socketPath), folder));
  writeFileSync(join(folder, 'command'), moved.map((arg) => `${arg}\0`).join(''));
  const service = loadService(name, options);
  writeFileSync(
    join(folder, 'job'),
    renderJobScript(service, {
      serviceCommand: ownCommand(service),
      network: false,
      groupIndex: null,
      secrets: [],
    }),
  );
  return folder;
}
