/** FIFOs between a VM process and the log worker. */
import { execFile } from 'node:child_process';
import { closeSync, constants, lstatSync, openSync } from 'node:fs';
import { promisify } from 'node:util';
import { MonocoreError } from '../errors.ts';
import { forkTurn } from './fork-turn.ts';

const run = promisify(execFile);

interface Batch {
  readonly paths: string[];
  /** Resolves when it was tried: one path that cannot be made fails the program, and not the others. */
  readonly done: Promise<void>;
}
/** The batch that is collected. */
let batch: Batch | null = null;
/** The one before. */
let running: Promise<void> = Promise.resolve();

/**
 * Makes FIFOs with mode 0600; one that is there already will do. Node has no mkfifo(2), so the program is run: once for
 * all that is asked for until the one before has ended, because dozens of services start together, and each fork stops
 * the event loop.
 *
 * @throws MonocoreError `StartFailed` when one of `paths` cannot be made
 */
export async function makeFifos(paths: readonly string[]): Promise<void> {
  await joinBatch(paths);
  const missing = paths.filter((path) => !isFifo(path));
  if (missing.length === 0) return;
  try {
    // Again and alone, to learn why.
    await runMkfifo(missing);
  } catch (error) {
    const reason = (error as { stderr?: string }).stderr?.trim() || String(error);
    throw new MonocoreError('StartFailed', `a FIFO could not be made: ${reason}`, { cause: error });
  }
}

function joinBatch(paths: readonly string[]): Promise<void> {
  if (!batch) {
    const collected: string[] = [];
    const done = running.then(forkTurn).then(() => {
      batch = null;
      running = runMkfifo(collected).catch(() => {}); // Whose path is missing sees it.
      return running;
    });
    batch = { paths: collected, done };
  }
  batch.paths.push(...paths);
  return batch.done;
}

async function runMkfifo(paths: readonly string[]): Promise<void> {
  await run('mkfifo', ['-m', '0600', '--', ...paths]);
}

function isFifo(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFIFO() ?? false;
}

/**
 * Opens the read end, non-blocking. A read before the first writer gives end of file, so reading starts after
 * {@link openChildEnd}.
 *
 * Where the writers are gone, the end of file is noticed all the same: to poll(2) a pipe has ended only if it had a
 * writer since this end was opened (`pipe_poll` in fs/pipe.c of Linux), so it gets one for a moment.
 */
export function openReadEnd(path: string): number {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}

/**
 * Opens the end that the VM process inherits: read-write, so that a log worker that died is no SIGPIPE, and the bytes
 * wait in the pipe for the next one.
 */
export function openChildEnd(path: string): number {
  return openSync(path, constants.O_RDWR);
}

/** Like {@link openChildEnd}, but writes fail instead of waiting when nobody reads: for output that may be lost. */
export function openLossyChildEnd(path: string): number {
  return openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
}

/** Opens all of them or none: what was opened before one that fails is closed again. Throws the system's error. */
export function openAll(opens: readonly (() => number)[]): number[] {
  const fds: number[] = [];
  try {
    for (const open of opens) fds.push(open());
    return fds;
  } catch (error) {
    closeAll(fds);
    throw error;
  }
}

/** Closes descriptors of the main thread; those the child inherited stay open in the child. */
export function closeAll(fds: readonly number[]): void {
  for (const fd of fds) closeSync(fd);
}
