/** FIFOs between a VM process and the log worker. */
import { closeSync, constants, lstatSync, openSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { errorText, MonocoreError } from '../../lib/errors.ts';
import type { ChildFd } from '../../protocol/spawner.ts';
import type { Spawner } from './host-process.ts';
import { run } from './host-tools.ts';

const NO_STREAMS: readonly ChildFd[] = ['null', 'null', 'null'];

/**
 * Makes FIFOs. Node has no mkfifo(2), so it runs the program, once for all requests that come while the previous one runs,
 * because dozens of services start together. Main thread.
 */
export class FifoMaker {
  readonly #spawner: Spawner;
  /** Paths of the next run. */
  #waiting: string[] = [];
  /** The next run; it resolves after the attempt: a path that cannot be made fails the program, but not the other paths. */
  #next: Promise<void> | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor(spawner: Spawner) {
    this.#spawner = spawner;
  }

  /**
   * Makes FIFOs with mode 0600; an existing one is fine.
   *
   * @throws MonocoreError `StartFailed` when one of `paths` cannot be made
   */
  async make(paths: readonly string[]): Promise<void> {
    this.#waiting.push(...paths);
    this.#next ??= this.#running.then(nextTurn).then(() => {
      this.#next = null;
      this.#running = this.#run(this.#waiting.splice(0));
      return this.#running;
    });
    await this.#next;
    const missing = paths.filter((path) => !isFifo(path));
    if (missing.length === 0) return;
    try {
      // Again and alone, to get the reason.
      await run('mkfifo', renderArgs(missing));
    } catch (cause) {
      throw new MonocoreError('StartFailed', `a FIFO could not be made: ${errorText(cause)}`, { cause });
    }
  }

  async #run(paths: readonly string[]): Promise<void> {
    const request = { program: 'mkfifo', args: renderArgs(paths), fds: NO_STREAMS, workdir: null, env: null };
    try {
      await (await this.#spawner.spawn(request, null)).exited();
    } catch {
      // The caller sees that its path is missing.
    }
  }
}

function renderArgs(paths: readonly string[]): string[] {
  return ['-m', '0600', '--', ...paths];
}

function isFifo(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFIFO() ?? false;
}

/**
 * Opens the read end, non-blocking. A read before the first writer gives end of file, so reading starts after
 * {@link openChildEnd}.
 *
 * The end of file is noticed even when the writers are gone already: poll(2) reports a pipe as ended only if it had a writer
 * since this end was opened (`pipe_poll` in fs/pipe.c of Linux), so it gets one for a moment.
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
 * Opens the VM's end: read-write, so that a dead log worker causes no SIGPIPE, and the bytes wait in the pipe for the next
 * one. The daemon holds it until the process does.
 */
export function openChildEnd(path: string): number {
  return openSync(path, constants.O_RDWR);
}

/** Closes descriptors of the main thread. */
export function closeAll(fds: readonly number[]): void {
  for (const fd of fds) closeSync(fd);
}
