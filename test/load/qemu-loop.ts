/** The peer of VMs: the same QEMU command lines in a shell loop, as many at a time, until the same first lines came. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GENERATION, NONCE_BYTES } from '../../src/vm/guest/agent/protocol.ts';
import { renderMessage, renderWords } from '../../src/vm/guest/agent-frames.ts';
import { renderJobWords } from '../../src/vm/guest/job.ts';
import { ownCommand } from '../../src/vm/host/service-command.ts';
import { findProcess } from '../chaos/processes.ts';
import { comesTrue } from '../chaos/waiting.ts';
import type { LoadOptions } from './options.ts';
import { CONCURRENT_BOOTS, type ServiceCommand } from './run.ts';
import { loadService } from './workload.ts';

const BOOT = fileURLToPath(new URL('./boot.pl', import.meta.url));
const END_TIMEOUT_MS = 30_000;

/**
 * @param commands of the VM processes as monocore started them, by service
 * @returns seconds until the last of them had printed its first line
 */
export async function runQemuLoop(
  dir: string,
  commands: ReadonlyMap<string, ServiceCommand>,
  options: LoadOptions,
): Promise<number> {
  const folders = [...commands].map(([name, command]) => prepare(join(dir, name), name, command, options));
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
function prepare(folder: string, name: string, { args, jail }: ServiceCommand, options: LoadOptions): string {
  mkdirSync(folder, { recursive: true });
  const opened = jail.filter((word) => /^(read|write|append|listen)=/.test(word));
  const control = opened.find((word) => word.endsWith('/control.sock'));
  if (control === undefined) throw new Error(`${name} has no control socket in the specification of its jail`);
  const runDir = dirname(control.replace('listen=', ''));
  const writeWords = (file: string, words: readonly string[]) =>
    writeFileSync(join(folder, file), words.map((word) => `${word.replaceAll(runDir, folder)}\0`).join(''));
  // The first two words are the jail and its specification.
  writeWords('command', args.slice(2));
  writeWords('files', opened);
  const service = loadService(name, options);
  const words = renderJobWords(service, { serviceCommand: ownCommand(service), network: false, groupIndex: null });
  const hello = Buffer.alloc(2 + NONCE_BYTES, GENERATION);
  hello.writeUInt16LE(GENERATION);
  writeFileSync(join(folder, 'hello'), renderMessage('hello', 0, hello));
  writeFileSync(join(folder, 'ready'), renderMessage('ready'));
  writeFileSync(
    join(folder, 'job'),
    Buffer.concat([renderMessage('job', 0, renderWords(words)), renderMessage('start')]),
  );
  return folder;
}
