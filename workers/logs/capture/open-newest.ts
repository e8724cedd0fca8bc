/** Which file of a stream a writer goes on with: the newest one, or that in which one that died left off. */
import { constants } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../../src/lib/errors.ts';
import type { LogFileName } from '../../../src/protocol/log-files/names.ts';
import type { HeldPlace } from '../../../src/protocol/logs.ts';
import { fileName, parseFileName, type StreamId, streamKey } from './file-names.ts';
import { call, type FileStatus, type FileWork } from './files.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_RDWR } = constants;

const FILE_MODE = 0o644;
const PERMISSIONS = 0o7777;
const FOLDER_MODE = 0o755;

/** An open file, which is the caller's. */
interface OpenFile {
  readonly fd: number;
  readonly status: FileStatus;
}

/** A file that is gone on with. */
interface NewestFile extends OpenFile {
  readonly number: number;
}

/** One in which a writer that died left off. */
interface HeldFile extends NewestFile {
  /** What it wrote behind the place that it had told. */
  readonly writtenBytes: number;
}

/**
 * Opens the newest file of a stream, or tells only its number: 0 where there is none, and that of a compressed one. Only
 * finished files are compressed: where the newest one is, somebody removed those after it. Throws the system's error.
 */
export function* openNewestFile(
  logDir: string,
  id: StreamId,
): FileWork<NewestFile | { readonly number: number; readonly fd: null }> {
  const files = yield* listFiles(logDir, id);
  const number = Math.max(0, ...files.map((file) => file.number));
  if (!files.some((file) => file.number === number && file.form === 'plain')) return { number, fd: null };
  return { ...(yield* openFile(join(logDir, fileName(id, number)))), number };
}

/**
 * Opens the file of `place`: by its name or, where it was moved away, by the descriptor of it that the main thread keeps.
 * Null where it was deleted or cannot be found. Throws the system's error.
 */
export function* openHeldFile(logDir: string, id: StreamId, place: HeldPlace): FileWork<HeldFile | null> {
  const { number, offset, fd } = place;
  const here = yield* openIfSame(join(logDir, fileName(id, number)), place);
  const found = here ?? (fd === null ? null : yield* openIfSame(`/proc/self/fd/${fd}`, place));
  if (!found) return null;
  const held: HeldFile = { ...found, number, writtenBytes: found.status.size - offset };
  return here ? yield* goToNewest(logDir, id, held) : held;
}

/**
 * Makes the next file of a stream whose last one has that number, and the folder when it is missing. A file that somebody
 * else made is left alone. Shippers run as users of their own: modes must not depend on the umask.
 */
export function* createFile(logDir: string, id: StreamId, lastNumber: number): FileWork<NewestFile> {
  let isFolderMade = false;
  for (let number = lastNumber + 1; ; ) {
    try {
      const flags = O_RDWR | O_APPEND | O_CREAT | O_EXCL;
      const file = yield* openFile(join(logDir, fileName(id, number)), flags);
      if ((file.status.mode & PERMISSIONS) !== FILE_MODE) yield* call('fchmod', file.fd, FILE_MODE);
      return { ...file, number };
    } catch (error) {
      if (errorCode(error) === 'EEXIST') {
        number += 1;
      } else if (errorCode(error) === 'ENOENT' && !isFolderMade) {
        yield* makeFolder(logDir);
        isFolderMade = true;
      } else {
        throw error;
      }
    }
  }
}

function* makeFolder(logDir: string): FileWork<void> {
  const made = yield* call('mkdir', logDir, FOLDER_MODE);
  if (made !== undefined) yield* call('chmod', logDir, FOLDER_MODE);
}

/** The writer may have begun another file, and died before it told. */
function* goToNewest(logDir: string, id: StreamId, held: HeldFile): FileWork<HeldFile> {
  let newest = held;
  const later = (yield* listFiles(logDir, id)).filter(({ form, number }) => form === 'plain' && number > held.number);
  for (const { number } of later.sort((a, b) => a.number - b.number)) {
    const file = yield* openFile(join(logDir, fileName(id, number)));
    yield* call('close', newest.fd);
    newest = { ...file, number, writtenBytes: newest.writtenBytes + file.status.size };
  }
  return newest;
}

function* listFiles(logDir: string, id: StreamId): FileWork<LogFileName[]> {
  const start = `${streamKey(id)}.`;
  let names: string[];
  try {
    names = yield* call('readdir', logDir);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
  // Of hundreds of names two or three are its own.
  const own = names.filter((name) => name.startsWith(start));
  return own.map(parseFileName).filter((file) => file !== null);
}

function* openFile(path: string, flags = O_RDWR | O_APPEND): FileWork<OpenFile> {
  const fd = yield* call('open', path, flags);
  try {
    return { fd, status: yield* call('fstat', fd) };
  } catch (error) {
    yield* call('close', fd);
    throw error;
  }
}

function* openIfSame(path: string, { dev, ino, offset }: HeldPlace): FileWork<OpenFile | null> {
  let file: OpenFile;
  try {
    file = yield* openFile(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return null;
    throw error;
  }
  const { status } = file;
  if (status.dev === dev && status.ino === ino && status.nlink > 0 && status.size >= offset) return file;
  yield* call('close', file.fd);
  return null;
}
