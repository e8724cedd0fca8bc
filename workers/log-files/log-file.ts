/** A log file to be read, compressed or not: a place in it is the same in both. */
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../src/lib/errors.ts';
import { COMPRESSED_SUFFIX, fileName, type StreamId } from '../../src/protocol/log-files/names.ts';
import { Inflation } from './inflation.ts';

/** An open file. It can be read to its end though it is compressed or removed meanwhile. */
export interface LogFile {
  /** Going back in it costs a reading from its beginning. */
  readonly isCompressed: boolean;
  sizeBytes(): Promise<number>;
  /** When it was last written, milliseconds since the epoch; kept by a compression. */
  modifiedAtMs(): Promise<number>;
  /** Fills `target` from `position` on; returns how many bytes there were. */
  read(target: Buffer, position: number): Promise<number>;
  close(): Promise<void>;
}

/** Opens file `number` of a stream, whichever form it has; null when it was removed. Throws the system's error. */
export async function openLogFile(logDir: string, id: StreamId, number: number): Promise<LogFile | null> {
  const path = join(logDir, fileName(id, number));
  // In this order: the compressed file is there before the other one goes.
  const plain = await openIfThere(path);
  if (plain) return new PlainFile(plain);
  const compressed = await openIfThere(path + COMPRESSED_SUFFIX);
  return compressed && new CompressedFile(compressed);
}

async function openIfThere(path: string): Promise<FileHandle | null> {
  try {
    return await open(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

class PlainFile implements LogFile {
  readonly isCompressed = false;
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async sizeBytes(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async modifiedAtMs(): Promise<number> {
    return (await this.#handle.stat()).mtimeMs;
  }

  async read(target: Buffer, position: number): Promise<number> {
    return target.length === 0 ? 0 : (await this.#handle.read(target, 0, target.length, position)).bytesRead;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** Last bytes of a gzip file, RFC 1952: the size of what it holds, modulo 2^32. Ours have one member and less. */
const SIZE_BYTES = 4;

class CompressedFile implements LogFile {
  readonly isCompressed = true;
  readonly #handle: FileHandle;
  #inflation: Inflation | null = null;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async sizeBytes(): Promise<number> {
    const { size } = await this.#handle.stat();
    const trailer = Buffer.alloc(SIZE_BYTES);
    await this.#handle.read(trailer, 0, SIZE_BYTES, Math.max(0, size - SIZE_BYTES));
    return trailer.readUInt32LE();
  }

  async modifiedAtMs(): Promise<number> {
    return (await this.#handle.stat()).mtimeMs;
  }

  async read(target: Buffer, position: number): Promise<number> {
    if (!this.#inflation || position < this.#inflation.position) {
      await this.#inflation?.close();
      this.#inflation = new Inflation(this.#handle);
    }
    return this.#inflation.read(target, position);
  }

  async close(): Promise<void> {
    await this.#inflation?.close();
    await this.#handle.close();
  }
}
