/**
 * Log of the daemon: pino with pino-roll on a separate thread, so that the main thread never waits for the disk. The
 * files are NDJSON, named `<file>.<number>.log`.
 *
 * pino-roll starts with the highest number at the end of any file name in the folder, so numbers may skip but never
 * decrease. It rotates between chunks, not lines: a line may begin in one file and end in the next.
 */
import { closeSync, constants, mkdirSync, openSync, writeSync } from 'node:fs';
import { access, mkdir, realpath } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import pino from 'pino';
import { errorText, errorTextWithPath, MonocoreError } from '../lib/errors.ts';
import { listDescriptors } from '../lib/proc.ts';

const MAX_FILE_SIZE = '10m';
const KEPT_FILES = 5;

/** Limit of the backlog beyond the 4 MiB buffer shared with the log thread; further lines are lost. */
const MAX_BACKLOG_BYTES = 16 * 2 ** 20;

/**
 * Minimum time between a failure (disk full, folder gone) and the next attempt to open the files, which the next line
 * triggers.
 */
const REOPEN_DELAY_MS = 10_000;

const STDERR_FD = 2;

export interface DaemonLogOptions {
  /** Absolute path without number and extension, see `HomePaths.daemonLog`. Its folder is created if missing. */
  readonly file: string;
  readonly level: pino.LevelWithSilent;
  /** {@link REOPEN_DELAY_MS} by default. */
  readonly reopenDelayMs?: number;
}

/** An open log. Main thread only. */
export interface DaemonLog {
  /** Logger that never throws, even on a full disk; a later line reports how many lines were lost. */
  readonly logger: pino.Logger;
  /** Resolves once every line is in the files. Later lines are dropped. */
  close(): Promise<void>;
  /**
   * Logs `error` and closes the log synchronously: when this returns, all lines are in the files and the process may
   * end in any way. Blocks for at most 10 s. If the log is broken, writes the line to stderr.
   */
  fatal(error: unknown): void;
}

/** pino's handle of the thread, with members that thread-stream has but does not declare. */
type Transport = ReturnType<typeof pino.transport> & {
  readonly destroyed: boolean;
  readonly worker: Worker;
  readonly writableNeedDrain: boolean;
  ref(): void;
};

/** Opens the log. @throws MonocoreError `HomeUnusable` if its folder cannot be created or written */
export async function openDaemonLog({ file, level, reopenDelayMs }: DaemonLogOptions): Promise<DaemonLog> {
  const sink = new RollingSink(await prepareFolder(file), reopenDelayMs ?? REOPEN_DELAY_MS, (lostLines) =>
    logger.warn({ lost_lines: lostLines }, 'lines of this log were lost'),
  );
  const options = { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime };
  const logger: pino.Logger = pino(options, sink);
  await sink.open();
  return {
    logger,
    close: () => sink.close(),
    fatal(error) {
      logger.fatal({ err: error }, errorTextWithPath(error));
      sink.closeSync();
    },
  };
}

/** Creates the folder of `file` and resolves its symbolic links. */
async function prepareFolder(file: string): Promise<string> {
  const dir = dirname(file);
  try {
    await mkdir(dir, { recursive: true });
    await access(dir, constants.W_OK);
    return join(await realpath(dir), basename(file));
  } catch (cause) {
    throw new MonocoreError('HomeUnusable', `the log folder ${dir} cannot be written: ${errorText(cause)}`, { cause });
  }
}

/** Destination for pino: a transport that is replaced when it breaks, which happens at the first failed write. */
class RollingSink implements pino.DestinationStream {
  readonly #file: string;
  readonly #reopenDelayMs: number;
  readonly #onLoss: (lines: number) => void;
  /** Transport in use or being opened. */
  #transport: Transport | null = null;
  #state: 'opening' | 'open' | 'broken' | 'closed' = 'opening';
  #brokenAtMs = 0;
  #backlogBytes = 0;
  #lostLines = 0;
  #lastLine = '';

  constructor(file: string, reopenDelayMs: number, onLoss: (lines: number) => void) {
    this.#file = file;
    this.#reopenDelayMs = reopenDelayMs;
    this.#onLoss = onLoss;
  }

  /** Resolves when lines are accepted. The file may not be open yet: a failure to open it is reported later. */
  async open(): Promise<void> {
    const transport = startTransport(this.#file);
    this.#transport = transport;
    this.#state = 'opening';
    this.#backlogBytes = 0;
    transport.once('close', () => {
      if (this.#transport !== transport) return;
      closeFiles(this.#file);
      this.#transport = null;
      this.#state = 'broken';
      this.#brokenAtMs = performance.now();
    });
    await new Promise<void>((resolve, reject) => {
      transport.once('ready', resolve);
      transport.on('error', reject);
      transport.once('close', () => reject(new Error('the thread has ended')));
    });
    if (this.#transport === transport) this.#state = 'open';
  }

  write(line: string): void {
    this.#lastLine = line;
    if (this.#state === 'broken' && performance.now() - this.#brokenAtMs >= this.#reopenDelayMs) {
      this.open().catch(() => {}); // The state is `broken` again.
    }
    const transport = this.#transport;
    // The thread has accepted the whole backlog, even if the next write finds the shared buffer full again.
    if (!transport?.writableNeedDrain) this.#backlogBytes = 0;
    const isFull = this.#backlogBytes > MAX_BACKLOG_BYTES;
    if (this.#state !== 'open' || !transport || transport.destroyed || isFull) {
      this.#lostLines += 1;
      return;
    }
    this.#backlogBytes = transport.write(line) ? 0 : this.#backlogBytes + line.length;
    if (this.#lostLines === 0) return;
    const lostLines = this.#lostLines;
    this.#lostLines = 0;
    this.#onLoss(lostLines);
  }

  async close(): Promise<void> {
    const transport = this.#release();
    if (!transport) return;
    await new Promise<void>((resolve) => {
      transport.once('close', resolve);
      // Without this reference, an idle event loop would end before the thread does.
      transport.ref();
      transport.end();
    });
  }

  closeSync(): void {
    const transport = this.#release();
    let isWritten = false;
    try {
      // end() waits until the thread has closed its file, but only without a pending write.
      transport?.flushSync();
      transport?.end();
      isWritten = transport !== null && !transport.destroyed;
    } catch {
      // The thread has already failed, or it hangs.
    }
    if (!isWritten) writeSync(STDERR_FD, this.#lastLine);
  }

  #release(): Transport | null {
    const transport = this.#transport;
    this.#transport = null;
    this.#state = 'closed';
    return transport;
  }
}

/**
 * Starts the thread. Refers to the folder by a descriptor, which the thread shares, because pino-roll rejects paths
 * with characters such as `:`.
 */
function startTransport(path: string): Transport {
  mkdirSync(dirname(path), { recursive: true });
  const folderFd = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  const file = `/proc/self/fd/${folderFd}/${basename(path)}`;
  const transport = pino.transport({
    target: createRequire(import.meta.url).resolve('pino-roll'),
    options: { file, size: MAX_FILE_SIZE, limit: { count: KEPT_FILES, removeOtherLogFiles: true } },
    // Options of this process, such as a loader, would only cost time.
    worker: { execArgv: [] },
  }) as Transport;
  // Without a listener, a thread that cannot be started for lack of descriptors would end the daemon. 'close' follows.
  transport.worker.on('error', () => {});
  return transport.once('close', () => closeSync(folderFd));
}

/**
 * Closes files that a killed thread left open. thread-stream starts the thread with `trackUnmanagedFds: false`, so Node
 * does not close them, and each failure would leak an open file.
 */
function closeFiles(file: string): void {
  for (const { fd, target } of listDescriptors('self')) {
    if (target.startsWith(file) && /^\.\d+\.log( \(deleted\))?$/.test(target.slice(file.length))) closeSync(fd);
  }
}
