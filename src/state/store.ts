/** Store of state files: decides in which order and when they are written. Main thread. */
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as v from 'valibot';
import writeFileAtomic from 'write-file-atomic';
import { type Clock, systemClock } from '../lib/clock.ts';
import { errorCode, errorTextWithPath, MonocoreError } from '../lib/errors.ts';
import { readBounded } from '../lib/files.ts';
import { isName, MAX_BYTES } from '../protocol/input.ts';
import { type SavedState, SavedStateSchema } from '../protocol/state.ts';
import type { LostService, StateStore } from '../supervisor/interfaces.ts';
import { makePrivateFolder } from './folder.ts';
import type { HomePaths } from './paths.ts';
import type { StateThread } from './state-thread.ts';

/** Delay of a write that nobody waits for, so that a later one can replace it. */
const SOON_MS = 50;
/** Delay before a failed write is retried, unless a later one has replaced it. */
const RETRY_MS = 1000;

/** Temporary file whose writer was killed: see `asideOf`; write-file-atomic appends a number instead. */
const UNFINISHED = /^[^.].*\.json\.(?:tmp|\d+)$/;

/** State files contain the service's variables, which may be secret. */
const MODE = 0o600;

/**
 * True for a state that must survive a crash of the host. No process survives that, so an unfinished start or stop is
 * of no use to the next daemon, and no caller has been told that it was done.
 */
function isDurable({ status }: SavedState): boolean {
  return status !== 'Starting' && status !== 'Stopping';
}

/** Reads a state file. @throws the system error, or MonocoreError `Internal` if it is not a state file */
export async function loadState(path: string): Promise<SavedState> {
  const text = await readBounded(path, MAX_BYTES.state);
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), SavedStateSchema), text);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const where = v.getDotPath(issue);
    const problem = where === null ? issue.message : `${where}: ${issue.message}`;
    throw new MonocoreError('Internal', `${path} is not a state file of this version: ${problem}`);
  }
  const { name } = parsed.output.service;
  if (basename(path, '.json') === name) return parsed.output;
  throw new MonocoreError('Internal', `${path} has the state of ${name}, which does not match its file name`);
}

/**
 * Writes a state file atomically, without a daemon. Throws the system error.
 *
 * @param durable true: the content is on disk when this resolves, see fsync(2)
 */
export async function saveState(path: string, state: SavedState, durable: boolean): Promise<void> {
  await writeFileAtomic(path, renderState(state), { mode: MODE, fsync: durable });
}

function renderState(state: SavedState): string {
  return `${JSON.stringify(state, null, 2)}\n`;
}

/** State files of a home. */
export class FileStateStore implements StateStore {
  readonly #paths: HomePaths;
  readonly #files: Pick<StateThread, 'change'>;
  readonly #clock: Clock;
  /** Last write of each service; the next one waits for it. */
  readonly #writes = new Map<string, Promise<void>>();
  /** State of each service that is to be written soon. `cancel` ends the delay; the write may already have begun. */
  readonly #waiting = new Map<string, { state: SavedState; readonly cancel: () => void }>();
  /** Failed write of each service that will be retried. */
  readonly #retries = new Map<string, { readonly write: () => Promise<void>; readonly cancel: () => void }>();

  constructor(paths: HomePaths, files: Pick<StateThread, 'change'>, clock: Clock = systemClock) {
    this.#paths = paths;
    this.#files = files;
    this.#clock = clock;
  }

  /**
   * Writes a state after all earlier ones of the service. A failed write is retried until a later one of the service
   * replaces it: a full disk must not leave an old state behind.
   */
  save(state: SavedState): Promise<void> {
    const { name } = state.service;
    this.#dropWaiting(name);
    return this.#enqueue(name, () => this.#write(this.#paths.stateFile(name), state, isDurable(state)));
  }

  /** Writes a state after the current write of the service; only the latest one is written. */
  saveSoon(state: SavedState): void {
    const { name } = state.service;
    const waiting = this.#waiting.get(name);
    if (waiting) waiting.state = state;
    else this.#waiting.set(name, { state, cancel: this.#clock.after(SOON_MS, () => this.#writeWaiting(name)) });
  }

  #writeWaiting(name: string): void {
    const latest = this.#waiting.get(name);
    this.#enqueue(
      name,
      async () => {
        // A later save has replaced it, and yet another one may be waiting.
        if (!latest || this.#waiting.get(name) !== latest) return;
        this.#waiting.delete(name);
        // A crash of the host may lose it, so there is no need to wait for the disk.
        await this.#write(this.#paths.stateFile(name), latest.state, false);
      },
      false,
    ).catch(() => {
      // The next metrics arrive in two seconds; a disk that stays full also fails writes that are reported.
    });
  }

  #dropWaiting(name: string): void {
    this.#waiting.get(name)?.cancel();
    this.#waiting.delete(name);
  }

  conclude(state: SavedState, afterwards: () => Promise<void> = async () => {}): Promise<void> {
    const { name } = state.service;
    this.#dropWaiting(name);
    return this.#enqueue(name, async () => {
      await this.#write(this.#paths.endedFile(name), state, true);
      await afterwards();
      await this.#files.change({ type: 'remove', path: this.#paths.stateFile(name) });
    });
  }

  remove(name: string): Promise<void> {
    return this.#enqueue(name, () => this.#files.change({ type: 'remove', path: this.#paths.endedFile(name) }));
  }

  /**
   * Loads the states of services that an earlier daemon left running, and of services that had ended. Removes that
   * daemon's temporary files, so it must be called while holding the lock of the home.
   *
   * @returns `lost`: services whose state file is damaged or missing although their processes may be running; `broken`:
   * other unusable files, each with the reason
   */
  async loadAll(): Promise<{ left: SavedState[]; ended: SavedState[]; lost: LostService[]; broken: string[] }> {
    const { home, runDir, endedDir } = this.#paths;
    await Promise.all([home, runDir, endedDir].map(removeUnfinished));
    const inRunDir = await readdir(runDir, { withFileTypes: true });
    const left = await loadStates(runDir);
    const ended = await loadStates(endedDir);
    const lost = left.damaged.filter(({ name }) => isName(name));
    const named = new Set([...left.states.map(({ service }) => service.name), ...lost.map(({ name }) => name)]);
    for (const entry of inRunDir) {
      const { name } = entry;
      if (!entry.isDirectory() || named.has(name) || !isName(name)) continue;
      lost.push({ name, reason: `${join(runDir, name)} has no state file beside it`, isDamaged: false });
    }
    const broken = [...left.damaged.filter(({ name }) => !isName(name)), ...ended.damaged];
    return { left: left.states, ended: ended.states, lost, broken: broken.map(({ reason }) => reason) };
  }

  /** Writes all pending states and retries failed writes once. */
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

  #write(path: string, state: SavedState, durable: boolean): Promise<void> {
    return this.#files.change({ type: 'write', path, text: renderState(state), durable });
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
    const retry = () => void this.#enqueue(name, write).catch(() => {});
    this.#retries.set(name, { write, cancel: this.#clock.after(RETRY_MS, retry) });
  }
}

async function removeUnfinished(dir: string): Promise<void> {
  const names = (await readdir(dir)).filter((name) => UNFINISHED.test(name));
  await Promise.all(names.map((name) => rm(join(dir, name), { recursive: true, force: true })));
}

/** State files of a folder: the usable ones, and the names of services whose file is not usable. */
async function loadStates(dir: string): Promise<{ states: SavedState[]; damaged: LostService[] }> {
  const states: SavedState[] = [];
  const damaged: LostService[] = [];
  const files = (await readdir(dir)).filter((name) => name.endsWith('.json'));
  const load = async (file: string): Promise<void> => {
    const name = file.slice(0, -'.json'.length);
    try {
      states.push(await loadState(join(dir, file)));
    } catch (error) {
      damaged.push({ name, reason: errorTextWithPath(error), isDamaged: true });
    }
  };
  await Promise.all(files.map(load));
  return { states, damaged };
}

/**
 * Creates the folders of a home.
 *
 * @returns a warning for people if its disk is full, in which case only running services can be supervised; null
 * otherwise
 * @throws MonocoreError `HomeUnusable` if a folder cannot be created or is not writable
 */
export async function makeHome(paths: HomePaths): Promise<string | null> {
  try {
    // Shippers read logs as other users; other users can read nothing else and write nothing.
    for (const dir of [paths.home, paths.logDir]) makePrivateFolder(dir, 0o755);
    const { runDir, endedDir, cacheDir, diskDir, images } = paths;
    for (const dir of [runDir, endedDir, cacheDir]) makePrivateFolder(dir, 0o700);
    for (const dir of [diskDir, images.dir]) if (existsSync(dir)) makePrivateFolder(dir, 0o700);
    const probe = join(paths.runDir, `.writable.${process.pid}`);
    // An empty file needs no space: a block of content reveals a full disk.
    await writeFileAtomic(probe, '\0'.repeat(4096), { mode: MODE, fsync: false });
    await rm(probe);
    return null;
  } catch (cause) {
    const reason = errorCode(cause) ?? String(cause);
    const isFull = reason === 'ENOSPC' || reason === 'EDQUOT';
    const hint = isFull ? 'free some space' : 'choose another with --home or MONOCORE_HOME';
    const message = `the home ${paths.home} cannot be written (${reason}); ${hint}`;
    // Running services must still be supervised, and the user must be able to stop them.
    if (isFull && existsSync(paths.cacheDir)) return message;
    throw new MonocoreError('HomeUnusable', message, { cause });
  }
}
