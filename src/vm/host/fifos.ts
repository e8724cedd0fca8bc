/** FIFOs between a VM process and the log worker. */
import { closeSync, constants, lstatSync, openSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { errorText, MonocoreError } from '../../lib/errors.ts';
import type { ChildFd } from '../../protocol/spawner.ts';
import type { Spawner } from './host-process.ts';
import { run } from './host-tools.ts';

const NO_STREAMS: readonly ChildFd[] = ['null', 'null', 'null'];

/**
 * Creates FIFOs. Node has no mkfifo(2), so this runs the program, once for all requests that arrive during the previous
 * run, because dozens of services start together. Main thread.
 */
export class FifoMaker {
  readonly #spawner: Spawner;
  /** Paths for the next run. */
  #waiting: string[] = [];
  /**
   * Next run; resolves after the attempt. A path that cannot be created makes the program fail, but does not affect the
   * other paths.
   */
  #next: Promise<void> | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor(spawner: Spawner) {
    this.#spawner = spawner;
  }

  /**
   * Creates FIFOs with mode 0600; existing ones are accepted.
   *
   * @throws MonocoreError `StartFailed` if one of `paths` cannot be created
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
      // Tries again separately, to get the reason.
      await run('mkfifo', renderArgs(missing));
    } catch (cause) {
      throw new MonocoreError('StartFailed', `a FIFO could not be created: ${errorText(cause)}`, { cause });
    }
  }

  async #run(paths: readonly string[]): Promise<void> {
    const request = { program: 'mkfifo', args: renderArgs(paths), fds: NO_STREAMS, workdir: null, env: null };
    try {
      await (await this.#spawner.spawn(request, null)).exited();
    } catch {
      // The caller notices that its path is missing.
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
 * Opens the read end, non-blocking. Reading before there is a writer yields end of file, so reading must start after
 * {@link openChildEnd}.
 *
 * End of file is noticed even if the writers are already gone: poll(2) reports the end of a pipe only if it has had a
 * writer since this end was opened (`pipe_poll` in fs/pipe.c of Linux), so it briefly gets one.
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
 * Opens the VM's end read-write, so that a dead log worker does not cause SIGPIPE, and data waits in the pipe for its
 * successor. The daemon holds the descriptor until the process does.
 */
export function openChildEnd(path: string): number {
  return openSync(path, constants.O_RDWR);
}

/** Closes descriptors of the main thread. */
export function closeAll(fds: readonly number[]): void {
  for (const fd of fds) closeSync(fd);
}
