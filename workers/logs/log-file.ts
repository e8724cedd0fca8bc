/** A log file to be read, compressed or not: a place in it is the same in both. */
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { errorCode } from '../../src/errors.ts';
import { COMPRESSED_SUFFIX, fileName, type StreamId } from './file-names.ts';

/** An open file. It can be read to its end though it is compressed or removed meanwhile. */
export interface LogFile {
  /** How much to read at once when going backward: in a compressed file each step starts from the beginning. */
  readonly backwardBlockBytes: number;
  sizeBytes(): Promise<number>;
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
  readonly backwardBlockBytes = 16_384;
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async sizeBytes(): Promise<number> {
    return (await this.#handle.stat()).size;
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
const PIECE_BYTES = 65_536;

/** Decompresses as it reads, and holds one piece of what comes out. */
class CompressedFile implements LogFile {
  readonly backwardBlockBytes = 2 ** 20;
  readonly #handle: FileHandle;
  #pieces: AsyncIterator<Buffer> | null = null;
  #piece: Buffer = Buffer.alloc(0);
  #pieceStart = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async sizeBytes(): Promise<number> {
    const { size } = await this.#handle.stat();
    const trailer = Buffer.alloc(SIZE_BYTES);
    await this.#handle.read(trailer, 0, SIZE_BYTES, Math.max(0, size - SIZE_BYTES));
    return trailer.readUInt32LE();
  }

  async read(target: Buffer, position: number): Promise<number> {
    if (!this.#pieces || position < this.#pieceStart) await this.#rewind();
    let filled = 0;
    while (filled < target.length) {
      const at = position + filled - this.#pieceStart;
      if (at < this.#piece.length) filled += this.#piece.copy(target, filled, at);
      else if (!(await this.#next())) break;
    }
    return filled;
  }

  async close(): Promise<void> {
    await this.#pieces?.return?.();
    await this.#handle.close();
  }

  async #next(): Promise<boolean> {
    const { value, done } = await this.#pieces!.next();
    this.#pieceStart += this.#piece.length;
    this.#piece = done ? Buffer.alloc(0) : value;
    return !done;
  }

  async #rewind(): Promise<void> {
    await this.#pieces?.return?.();
    this.#pieces = decompress(this.#handle);
    this.#piece = Buffer.alloc(0);
    this.#pieceStart = 0;
  }
}

async function* decompress(handle: FileHandle): AsyncGenerator<Buffer, undefined> {
  const source = Readable.from(readPieces(handle));
  const target = createGunzip();
  source.on('error', (error) => target.destroy(error));
  try {
    yield* source.pipe(target);
  } finally {
    source.destroy();
    target.destroy();
  }
  return undefined;
}

/** A stream of the handle itself would close it at its end. */
async function* readPieces(handle: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(PIECE_BYTES), 0, PIECE_BYTES, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
