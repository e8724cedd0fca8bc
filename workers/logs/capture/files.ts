/**
 * The file operations of a writer, in two ways: at once, which is fast and stops the thread while a disk does not answer,
 * or on libuv's pool of threads. What is done in which order is written once, as a generator that asks for operations.
 */
import * as nodeFs from 'node:fs';
import { promises as fs } from 'node:fs';
import { promisify } from 'node:util';

const FILE_MODE = 0o644;
const write = promisify(nodeFs.write);
const read = promisify(nodeFs.read);
const open = promisify(nodeFs.open);
const close = promisify(nodeFs.close);
const fchmod = promisify(nodeFs.fchmod);
const fstat = promisify(nodeFs.fstat);

/** What a file is recognised by, and how it stands. */
export interface FileStatus {
  readonly dev: number;
  readonly ino: number;
  /** Permissions in its last twelve bits. */
  readonly mode: number;
  /** 0 once it was deleted. */
  readonly nlink: number;
  readonly size: number;
  readonly mtimeMs: number;
}

/** Operations that stop the thread until they are done. Each throws the system's error. */
export const syncFiles = {
  open: (path: string, flags: number): number => nodeFs.openSync(path, flags, FILE_MODE),
  close: (fd: number): void => nodeFs.closeSync(fd),
  /** May write less. */
  write: (fd: number, bytes: Buffer, from: number, length: number): number =>
    nodeFs.writeSync(fd, bytes, from, length, null),
  /** May read less. */
  read: (fd: number, bytes: Buffer, position: number): number => nodeFs.readSync(fd, bytes, 0, bytes.length, position),
  fchmod: (fd: number, mode: number): void => nodeFs.fchmodSync(fd, mode),
  fstat: (fd: number): FileStatus => nodeFs.fstatSync(fd),
  stat: (path: string): FileStatus => nodeFs.statSync(path),
  readdir: (path: string): string[] => nodeFs.readdirSync(path),
  chmod: (path: string, mode: number): void => nodeFs.chmodSync(path, mode),
  /** Makes the parents, too; undefined when there was nothing to make. */
  mkdir: (path: string, mode: number): string | undefined => nodeFs.mkdirSync(path, { recursive: true, mode }),
  rm: (path: string): void => nodeFs.rmSync(path, { force: true }),
  rename: (from: string, to: string): void => nodeFs.renameSync(from, to),
  symlink: (target: string, path: string): void => nodeFs.symlinkSync(target, path),
};

export type Files = typeof syncFiles;
export type AsyncFiles = {
  readonly [Name in keyof Files]: (...args: Parameters<Files[Name]>) => Promise<ReturnType<Files[Name]>>;
};

/** The same operations on libuv's pool. */
export const asyncFiles: AsyncFiles = {
  open: (path, flags) => open(path, flags, FILE_MODE),
  close,
  write: async (fd, bytes, from, length) => (await write(fd, bytes, from, length, null)).bytesWritten,
  read: async (fd, bytes, position) => (await read(fd, bytes, 0, bytes.length, position)).bytesRead,
  fchmod,
  fstat,
  stat: (path) => fs.stat(path),
  readdir: (path) => fs.readdir(path),
  chmod: fs.chmod,
  mkdir: (path, mode) => fs.mkdir(path, { recursive: true, mode }),
  rm: (path) => fs.rm(path, { force: true }),
  rename: fs.rename,
  symlink: (target, path) => fs.symlink(target, path),
};

/** An operation that a generator asks for. */
interface FileCall {
  readonly name: keyof Files;
  readonly args: readonly unknown[];
}

/** Work on files that ends in a `T`. */
export type FileWork<T> = Generator<FileCall, T, unknown>;

/** Asks for one operation: `const fd = yield* call('open', path, flags)`. */
export function* call<Name extends keyof Files>(
  name: Name,
  ...args: Parameters<Files[Name]>
): FileWork<ReturnType<Files[Name]>> {
  return (yield { name, args }) as ReturnType<Files[Name]>;
}

/** Does the work at once. */
export function runSync<T>(work: FileWork<T>, files: Files): T {
  let step = work.next();
  while (!step.done) {
    const { name, args } = step.value;
    let result: unknown;
    try {
      result = (files[name] as (...args: readonly unknown[]) => unknown)(...args);
    } catch (error) {
      step = work.throw(error);
      continue;
    }
    step = work.next(result);
  }
  return step.value;
}

/** Does the work on the pool. */
export async function runAsync<T>(work: FileWork<T>, files: AsyncFiles): Promise<T> {
  let step = work.next();
  while (!step.done) {
    const { name, args } = step.value;
    let result: unknown;
    try {
      result = await (files[name] as (...args: readonly unknown[]) => Promise<unknown>)(...args);
    } catch (error) {
      step = work.throw(error);
      continue;
    }
    step = work.next(result);
  }
  return step.value;
}
