/** State files on disk: which is written when. Main thread. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as v from 'valibot';
import writeFileAtomic from 'write-file-atomic';
import { type Clock, systemClock } from '../lib/clock.ts';
import { errorCode, MonocoreError } from '../lib/errors.ts';
import type { FileChange } from '../protocol/state.ts';
import { type SavedState, SavedStateSchema } from '../protocol/state.ts';
import { makeFolder } from './folder.ts';
import type { HomePaths } from './paths.ts';

/** How long a write that nobody waits for may be put off, so that a later one takes its place. */
const SOON_MS = 50;
/** After this long a write that failed is tried again, while no later one has taken its place. */
const RETRY_MS = 1000;

/**
 * Name of a file that had not got its own yet when its writer was killed: see {@link asideOf}; write-file-atomic, which
 * writes the limits of logs, appends a number.
 */
const UNFINISHED = /^[^.].*\.json\.(?:tmp|\d+)$/;

/** State files hold the service's variables, which may be secret. */
const MODE = 0o600;

/**
 * Whether a state must survive a crash of the host, which leaves no process: that a service was begun to be started or
 * stopped tells the next daemon nothing then, and nobody has been told that it was done.
 */
function isDurable({ status }: SavedState): boolean {
  return status !== 'Starting' && status !== 'Stopping';
}

/** Reads a state file. @throws the system's error, or MonocoreError `Internal` for one that is not a state file */
export async function loadState(path: string): Promise<SavedState> {
  const text = await readFile(path, 'utf8');
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), SavedStateSchema), text);
  if (parsed.success) return parsed.output;
  throw new MonocoreError('Internal', `${path} is not a state file of this version: ${parsed.issues[0].message}`);
}

/**
 * Writes a state file by itself, where no daemon does: a reader sees the old content or the new one, never part of it.
 * Throws the system's error.
 *
 * @param durable whether the content is on disk when this resolves, see fsync(2)
 */
export async function saveState(path: string, document: SavedState, durable: boolean): Promise<void> {
  await writeFileAtomic(path, renderState(document), { mode: MODE, fsync: durable });
}

function renderState(document: SavedState): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** Who writes the files. */
export interface StateFiles {
  /**
   * Resolves when the file is changed; one call at a time for each path.
   *
   * @throws MonocoreError why it could not be; the file has its old content then
   */
  change(change: FileChange): Promise<void>;
}

interface WaitingWrite {
  document: SavedState;
  /** Ends the wait; the write may be under way already. */
  readonly cancel: () => void;
}

/** The state files of one home. */
export class FileStateStore {
  readonly #paths: HomePaths;
  readonly #files: StateFiles;
  /** Per service: the last write, after which the next one goes; and what is to be written when it is done. */
  readonly #writes = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, WaitingWrite>();
  /** Per service: what failed and is to be tried again, with what calls that off. */
  readonly #retries = new Map<string, { readonly write: () => Promise<void>; readonly cancel: () => void }>();
  readonly #clock: Clock;

  constructor(paths: HomePaths, files: StateFiles, clock: Clock = systemClock) {
    this.#paths = paths;
    this.#files = files;
    this.#clock = clock;
  }

  /**
   * Resolves when the document is in its file, behind all that was asked for before. One that cannot be written is tried
   * again, for as long as no later write of the service comes: a full disk must not leave an old state behind.
   */
  save(document: SavedState): Promise<void> {
    const { name } = document.service;
    this.#dropWaiting(name);
    return this.#enqueue(name, () => this.#write(this.#paths.stateFile(name), document, isDurable(document)));
  }

  /** Writes the document within a moment, when no other write of the service is under way; only the latest is written. */
  saveSoon(document: SavedState): void {
    const { name } = document.service;
    const waiting = this.#waiting.get(name);
    if (waiting) waiting.document = document;
    else this.#waiting.set(name, { document, cancel: this.#clock.after(SOON_MS, () => this.#writeWaiting(name)) });
  }

  #writeWaiting(name: string): void {
    const latest = this.#waiting.get(name);
    this.#enqueue(
      name,
      async () => {
        // Replaced by a later save, behind which another one may wait by now.
        if (!latest || this.#waiting.get(name) !== latest) return;
        this.#waiting.delete(name);
        // May be lost in a crash of the host, so nobody waits for the disk.
        await this.#write(this.#paths.stateFile(name), latest.document, false);
      },
      false,
    ).catch(() => {
      // Metrics come again in two seconds; a disk that stays full shows in the writes that matter.
    });
  }

  #dropWaiting(name: string): void {
    this.#waiting.get(name)?.cancel();
    this.#waiting.delete(name);
  }

  /**
   * Keeps the document of an ended service and removes its state file.
   *
   * @param afterwards done when the document is on disk, however often that has to be tried
   */
  conclude(document: SavedState, afterwards: () => Promise<void> = async () => {}): Promise<void> {
    const { name } = document.service;
    this.#dropWaiting(name);
    return this.#enqueue(name, async () => {
      await this.#write(this.#paths.endedFile(name), document, true);
      await afterwards();
      await this.#files.change({ type: 'remove', path: this.#paths.stateFile(name) });
    });
  }

  /** Forgets an ended service. */
  remove(name: string): Promise<void> {
    return this.#enqueue(name, () => this.#files.change({ type: 'remove', path: this.#paths.endedFile(name) }));
  }

  /**
   * Documents of services that an earlier daemon left running, and of those that ended. What that daemon was writing when
   * it was killed is removed; call it under the lock of the home.
   */
  async loadAll(): Promise<{ left: SavedState[]; ended: SavedState[]; broken: string[] }> {
    const { home, runDir, endedDir } = this.#paths;
    await Promise.all([home, runDir, endedDir].map(removeUnfinished));
    const broken: string[] = [];
    const load = async (dir: string): Promise<SavedState[]> => {
      const names = (await readdir(dir)).filter((name) => name.endsWith('.json'));
      const documents = await Promise.all(
        names.map((name) =>
          loadState(join(dir, name)).catch((error: unknown) => {
            broken.push(`${basename(name)}: ${error}`);
            return null;
          }),
        ),
      );
      return documents.filter((document) => document !== null);
    };
    return { left: await load(runDir), ended: await load(endedDir), broken };
  }

  /** Resolves when nothing waits to be written; what failed before is tried once more. */
  async flush(): Promise<void> {
    for (const [name, { cancel }] of this.#waiting) {
      cancel();
      this.#writeWaiting(name);
    }
    for (const [name, { write, cancel }] of this.#retries) {
      cancel();
      this.#retries.delete(name);
      this.#enqueue(name, write, false).catch(() => {});
    }
    await Promise.allSettled(this.#writes.values());
  }

  #write(path: string, document: SavedState, durable: boolean): Promise<void> {
    return this.#files.change({ type: 'write', path, text: renderState(document), durable });
  }

  #enqueue(name: string, write: () => Promise<void>, isRetried = true): Promise<void> {
    this.#retries.get(name)?.cancel();
    this.#retries.delete(name);
    const before = this.#writes.get(name) ?? Promise.resolve();
    const written = before.then(write, write);
    const settled = written.catch(() => {
      if (isRetried && this.#writes.get(name) === settled) this.#retryLater(name, write);
    });
    this.#writes.set(name, settled);
    void settled.then(() => {
      if (this.#writes.get(name) === settled) this.#writes.delete(name);
    });
    return written;
  }

  #retryLater(name: string, write: () => Promise<void>): void {
    const cancel = this.#clock.after(RETRY_MS, () => {
      this.#enqueue(name, write).catch(() => {});
    });
    this.#retries.set(name, { write, cancel });
  }
}

async function removeUnfinished(dir: string): Promise<void> {
  const names = (await readdir(dir)).filter((name) => UNFINISHED.test(name));
  await Promise.all(names.map((name) => rm(join(dir, name), { force: true })));
}

/**
 * Makes the folders of a home.
 *
 * @throws MonocoreError `HomeUnusable` when one cannot be made or written
 */
export async function makeHome(paths: HomePaths): Promise<void> {
  try {
    for (const dir of [paths.home, paths.runDir, paths.endedDir, paths.logDir, paths.cacheDir]) {
      makeFolder(dir, 0o755);
    }
    const probe = join(paths.runDir, `.writable.${process.pid}`);
    // An empty file needs no space: a block of content shows a full disk.
    await writeFileAtomic(probe, '\0'.repeat(4096), { mode: MODE, fsync: false });
    await rm(probe);
  } catch (cause) {
    const hint = errorCode(cause) === 'ENOSPC' ? 'free some space' : 'choose another with --home or MONOCORE_HOME';
    const reason = errorCode(cause) ?? String(cause);
    throw new MonocoreError('HomeUnusable', `the home ${paths.home} cannot be written (${reason}); ${hint}`, { cause });
  }
}
