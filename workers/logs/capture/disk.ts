/**
 * File operations of the log writers. A sequence of operations is written once, as a generator that yields each call.
 * The disk makes the calls on this thread as long as it responds quickly, and otherwise on libuv's thread pool.
 */
import * as fs from 'node:fs';

/**
 * Duration above which a write counts as slow, because it blocks all streams of its thread. Page-cache writes take
 * microseconds.
 */
const SLOW_WRITE_MS = 50;
/** Number of consecutive quick writes after which a device no longer counts as slow. */
const QUICK_WRITES = 64;
/**
 * Maximum number of writes on the pool. libuv has four threads for the whole process, which are also needed to read
 * files and save state.
 */
const MAX_POOL_WRITES = 2;

/** Identity and state of a file, see stat(2). */
export interface FileStatus {
  readonly dev: number;
  readonly ino: number;
  /** Type and permissions; the permissions are the last twelve bits. */
  readonly mode: number;
  /** 0 once the file has been deleted. */
  readonly nlink: number;
  readonly size: number;
  readonly mtimeMs: number;
}

/** Functions of node:fs that writers call, without `Sync` or callback. Each throws the system error. */
interface FileCalls {
  open(path: string, flags: number, mode: number): number;
  close(fd: number): void;
  /** May write less than `length`. */
  write(fd: number, bytes: Uint8Array, from: number, length: number, position: null): number;
  /** May read less than `length`. */
  read(fd: number, bytes: Uint8Array, from: number, length: number, position: number): number;
  fchmod(fd: number, mode: number): void;
  fstat(fd: number): FileStatus;
  stat(path: string): FileStatus;
  readdir(path: string): string[];
  chmod(path: string, mode: number): void;
  /** Returns undefined if the folder already exists. */
  mkdir(path: string, options: { readonly recursive: true; readonly mode: number }): string | undefined;
  rm(path: string, options: { readonly force: true }): void;
  rename(from: string, to: string): void;
  symlink(target: string, path: string): void;
}

/** Call yielded by a generator. */
interface FileCall {
  readonly name: keyof FileCalls;
  readonly args: readonly unknown[];
}

/** Sequence of file operations that returns a `T`. */
export type FileWork<T> = Generator<FileCall, T, unknown>;

/** Yields one operation: `const fd = yield* call('open', path, flags, mode)`. */
export function* call<Name extends keyof FileCalls>(
  name: Name,
  ...args: Parameters<FileCalls[Name]>
): FileWork<ReturnType<FileCalls[Name]>> {
  return (yield { name, args }) as ReturnType<FileCalls[Name]>;
}

/** Makes a call on this thread and returns its result, or on the pool and returns a promise. */
export type MakeCall = (call: FileCall, isOnPool: boolean) => unknown;

/** Calls node:fs. */
export const callFs: MakeCall = ({ name, args }, isOnPool) => {
  const functions = fs as unknown as Readonly<Record<string, (...args: unknown[]) => unknown>>;
  if (!isOnPool) return functions[`${name}Sync`]!(...args);
  return new Promise((resolve, reject) => {
    functions[name]!(...args, (error: unknown, result: unknown) => (error ? reject(error) : resolve(result)));
  });
};

/** Properties of a file that matter to {@link Disk}. */
interface OnDevice {
  /** Device number, see stat(2); null if unknown. */
  readonly dev: number | null;
}

/**
 * Disks that the streams of one thread write to. A device that delays a write counts as slow until it is quick again.
 */
export class Disk {
  /** Milliseconds of a monotonic clock. */
  readonly stopwatch: () => number;
  readonly #makeCall: MakeCall;
  /** Number of consecutive quick writes for each slow device. */
  readonly #quickWrites = new Map<number, number>();
  readonly #waiting: (() => void)[] = [];
  #poolWrites = 0;
  #listings: Map<unknown, unknown> | null = null;

  constructor(makeCall: MakeCall = callFs, stopwatch: () => number = () => performance.now()) {
    this.#makeCall = makeCall;
    this.stopwatch = stopwatch;
  }

  /** True if a write may block the thread for long. An unknown device counts as the slowest known one. */
  isSlow({ dev }: OnDevice): boolean {
    return this.#quickWrites.size > 0 && (dev === null || this.#quickWrites.has(dev));
  }

  /**
   * Runs `work` on this thread, or on the pool while the device of `file` is slow. `work` must open the file if
   * necessary.
   */
  run<T>(file: OnDevice, work: FileWork<T>): T | Promise<T> {
    if (this.isSlow(file)) return this.#runOnPool(file, work);
    const startMs = this.stopwatch();
    const result = this.runNow(work);
    this.noteTime(file, startMs);
    return result;
  }

  /** Runs `work` on this thread. */
  runNow<T>(work: FileWork<T>): T {
    let step = work.next();
    while (!step.done) {
      let result: unknown;
      try {
        result = this.callNow(step.value);
      } catch (error) {
        step = work.throw(error);
        continue;
      }
      step = work.next(result);
    }
    return step.value;
  }

  /** Makes one call on this thread. */
  callNow(call: FileCall): unknown {
    if (call.name !== 'readdir' || !this.#listings) return this.#makeCall(call, false);
    const [path] = call.args;
    if (!this.#listings.has(path)) this.#listings.set(path, this.#makeCall(call, false));
    return this.#listings.get(path);
  }

  /**
   * Lists each folder only once while `open`, which is synchronous, opens streams: dozens of services have their files
   * in the same folder. The listing stays valid because each stream looks only for its own files.
   */
  shareListings<T>(open: () => T): T {
    this.#listings = new Map();
    try {
      return open();
    } finally {
      this.#listings = null;
    }
  }

  /** Records that a write took from `startMs` of the stopwatch until now. */
  noteTime({ dev }: OnDevice, startMs: number): void {
    const isSlow = this.stopwatch() - startMs > SLOW_WRITE_MS;
    if (dev === null || (!isSlow && this.#quickWrites.size === 0)) return;
    const quick = this.#quickWrites.get(dev);
    if (isSlow) this.#quickWrites.set(dev, 0);
    else if (quick !== undefined && quick + 1 < QUICK_WRITES) this.#quickWrites.set(dev, quick + 1);
    else this.#quickWrites.delete(dev);
  }

  async #runOnPool<T>(file: OnDevice, work: FileWork<T>): Promise<T> {
    if (this.#poolWrites >= MAX_POOL_WRITES) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#poolWrites += 1;
    const startMs = this.stopwatch();
    try {
      let step = work.next();
      while (!step.done) {
        let result: unknown;
        try {
          result = await this.#makeCall(step.value, true);
        } catch (error) {
          step = work.throw(error);
          continue;
        }
        step = work.next(result);
      }
      return step.value;
    } finally {
      this.noteTime(file, startMs);
      // The slot is passed on directly, so that nobody else can take it in between.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#poolWrites -= 1;
    }
  }
}
