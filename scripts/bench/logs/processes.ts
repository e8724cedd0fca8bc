/** Processes of a run: pipes between them, their ends, their CPU time. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, closeSync, constants, openSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { Producer } from './loads.ts';

const run = promisify(execFile);

/** A FIFO with both ends open, so that neither side waits for the other and no reader sees an early end of file. */
interface Pipe {
  readonly path: string;
  readonly readFd: number;
  readonly writeFd: number;
}

/** Makes and opens a FIFO in `dir`. */
export async function openPipe(dir: string, name = 'pipe'): Promise<Pipe> {
  const path = join(dir, name);
  await run('mkfifo', [path]);
  const hold = openSync(path, constants.O_RDWR);
  const pipe = { path, readFd: openSync(path, constants.O_RDONLY), writeFd: openSync(path, constants.O_WRONLY) };
  closeSync(hold);
  return pipe;
}

/** Starts the producer, whose output goes to `writeFd`; the fd is closed here, so the pipe ends with the producer. */
export function startProducer({ command: [file, ...args] }: Producer, writeFd: number): Promise<void> {
  const child = spawn(file!, args, { stdio: ['ignore', writeFd, 'inherit'], env: { ...process.env, LC_ALL: 'C' } });
  closeSync(writeFd);
  return ended(child, file!);
}

/** Resolves when `child` has ended with code 0; throws otherwise, also when it could not be started. */
export async function ended(child: ChildProcess, name: string): Promise<void> {
  const [code, signal] = await once(child, 'exit');
  if (code !== 0) throw new Error(`${name} ended with ${signal ?? `code ${code}`}`);
}

/** For bash: runs "$@" and writes its CPU time, with that of what it waited for, to the file $0. */
export const TIMED = 'TIMEFORMAT="%3U %3S"; { time "$@" 2>&3; } 3>&2 2>"$0"';

/** CPU seconds, user and system, from a file that {@link TIMED} wrote. */
export function readCpuSeconds(path: string): number {
  const [user, system] = readFileSync(path, 'utf8').trim().split(' ').map(Number);
  return user! + system!;
}

/** True if a program of that name is in PATH. */
export function isInstalled(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Seconds of a monotonic clock. */
export function nowSeconds(): number {
  return performance.now() / 1000;
}
