/** Finds the file to which a writer should append: the newest one, or the one at which a dead writer stopped. */
import { constants } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../../src/lib/errors.ts';
import { MAX_TAIL_BYTES, recordTime } from '../../../src/protocol/log-files/formats.ts';
import {
  fileName,
  type LogFileName,
  parseFileName,
  type StreamId,
  streamKey,
} from '../../../src/protocol/log-files/names.ts';
import { LF, RECORD_TIME_BYTES } from '../../../src/protocol/log-files/record.ts';
import type { HeldPlace } from '../../../src/protocol/logs.ts';
import { call, type FileStatus, type FileWork } from './disk.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_RDWR } = constants;

const BLOCK_BYTES = 65_536;

const FILE_MODE = 0o644;
const PERMISSIONS = 0o7777;
const FOLDER_MODE = 0o755;

/** Open file; the caller must close it. */
interface OpenFile {
  readonly fd: number;
  readonly status: FileStatus;
}

/** Open file with its number. */
interface NumberedFile extends OpenFile {
  readonly number: number;
}

/** File at which a dead writer stopped. */
interface HeldFile extends NumberedFile {
  /** Number of bytes that it wrote after the position that it had reported. */
  readonly writtenBytes: number;
}

/**
 * Opens the newest file of a stream. Returns only its number if it is compressed, and 0 if there is none. Only finished
 * files are compressed, so somebody must have removed the later ones. Throws the system error.
 */
export function* openNewestFile(
  logDir: string,
  id: StreamId,
): FileWork<NumberedFile | { readonly number: number; readonly fd: null }> {
  const files = yield* listFiles(logDir, id);
  const number = Math.max(0, ...files.map((file) => file.number));
  if (!files.some((file) => file.number === number && file.form === 'plain')) return { number, fd: null };
  return { ...(yield* openFile(join(logDir, fileName(id, number)))), number };
}

/**
 * Opens the file of `place` by its name or, if it was moved, by the descriptor that the main thread holds. Returns null
 * if it was deleted or cannot be found. Throws the system error.
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
 * Creates the file after `lastNumber`, and the folder if it is missing. Skips a number that a foreign file uses. The
 * modes do not depend on the umask, because shippers run as other users.
 */
export function* createFile(logDir: string, id: StreamId, lastNumber: number): FileWork<NumberedFile> {
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
  const made = yield* call('mkdir', logDir, { recursive: true, mode: FOLDER_MODE });
  if (made !== undefined) yield* call('chmod', logDir, FOLDER_MODE);
}

/** Switches to a later file that the dead writer had created but not reported. */
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
  // Comparing hundreds of names is cheap, parsing them is not; only two or three match.
  const own = names.filter((name) => name.startsWith(start));
  return own.map(parseFileName).filter((file) => file !== null);
}

function* openFile(path: string, flags = O_RDWR | O_APPEND): FileWork<OpenFile> {
  const fd = yield* call('open', path, flags, FILE_MODE);
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

/** Last record of a file with `sizeBytes`, with its newline if it has one; empty for an empty file. */
export function* readLastRecord(fd: number, sizeBytes: number): FileWork<Buffer> {
  const blocks: Buffer[] = [];
  let start = sizeBytes;
  while (start > 0 && sizeBytes - start < MAX_TAIL_BYTES) {
    const end = start;
    start = Math.max(0, end - BLOCK_BYTES);
    const block = Buffer.alloc(end - start);
    const read = yield* call('read', fd, block, 0, block.length, start);
    if (read === 0) break;
    blocks.unshift(block.subarray(0, read));
    // The newline at the very end belongs to the record.
    const last = end === sizeBytes ? read - 2 : read - 1;
    const newline = last < 0 ? -1 : block.lastIndexOf(LF, last);
    if (newline === -1) continue;
    blocks[0] = block.subarray(newline + 1, read);
    break;
  }
  return Buffer.concat(blocks);
}

/** Time of the first record, milliseconds since the epoch; null if it has none. */
export function* readFirstTime(fd: number): FileWork<number | null> {
  const head = Buffer.alloc(RECORD_TIME_BYTES);
  yield* call('read', fd, head, 0, head.length, 0);
  const epochMs = Date.parse(recordTime(head, 0, ''));
  return Number.isNaN(epochMs) ? null : epochMs;
}
