/** Files of the log folder: listing, and reading them compressed or not. Positions in both forms are the same. */
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createGunzip, type Gunzip } from 'node:zlib';
import { errorCode } from '../../src/lib/errors.ts';
import {
  COMPRESSED_SUFFIX,
  fileName,
  parseFileName,
  type StreamId,
  streamKey,
} from '../../src/protocol/log-files/names.ts';

/** Stream that has files, and their numbers in rising order, compressed files included. */
export interface StreamFiles {
  readonly id: StreamId;
  readonly numbers: readonly number[];
}

/** Lists the files in `logDir` of every stream that `selects` accepts; none if the folder is missing. */
export async function listStreamFiles(logDir: string, selects: (id: StreamId) => boolean): Promise<StreamFiles[]> {
  const byKey = new Map<string, { id: StreamId; numbers: Set<number> }>();
  for (const name of (await nullIfMissing(readdir(logDir))) ?? []) {
    const parsed = parseFileName(name);
    if (!parsed || parsed.form === 'unfinished' || !selects(parsed)) continue;
    const { number, service, stream } = parsed;
    const key = streamKey(parsed);
    const files = byKey.get(key) ?? { id: { service, stream }, numbers: new Set() };
    byKey.set(key, files);
    files.numbers.add(number);
  }
  return [...byKey.values()].map(({ id, numbers }) => ({ id, numbers: [...numbers].sort((a, b) => a - b) }));
}

/** Open file. It can be read to its end even if it is compressed or removed meanwhile. */
export interface LogFile {
  /** Going back costs a reading from the beginning. */
  readonly isCompressed: boolean;
  sizeBytes(): Promise<number>;
  /** Time of the last write, milliseconds since the epoch; a compression keeps it. */
  modifiedAtMs(): Promise<number>;
  /** Fills `target` from `position` on; returns how many bytes there were. */
  read(target: Buffer, position: number): Promise<number>;
  close(): Promise<void>;
}

/** Opens file `number` of a stream in whichever form; null if it was removed. Throws the system's error. */
export async function openLogFile(logDir: string, id: StreamId, number: number): Promise<LogFile | null> {
  const path = join(logDir, fileName(id, number));
  // In this order: a compression creates the compressed file before it removes the plain one.
  const plain = await nullIfMissing(open(path));
  if (plain) return new PlainFile(plain);
  const compressed = await nullIfMissing(open(path + COMPRESSED_SUFFIX));
  return compressed && new CompressedFile(compressed);
}

async function nullIfMissing<T>(result: Promise<T>): Promise<T | null> {
  try {
    return await result;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

class PlainFile implements LogFile {
  readonly isCompressed: boolean = false;
  protected readonly handle: FileHandle;

  constructor(handle: FileHandle) {
    this.handle = handle;
  }

  async sizeBytes(): Promise<number> {
    return (await this.handle.stat()).size;
  }

  async modifiedAtMs(): Promise<number> {
    return (await this.handle.stat()).mtimeMs;
  }

  async read(target: Buffer, position: number): Promise<number> {
    return target.length === 0 ? 0 : (await this.handle.read(target, 0, target.length, position)).bytesRead;
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** Last bytes of a gzip file, RFC 1952: the inflated size modulo 2^32. Our files have one member and are smaller. */
const SIZE_BYTES = 4;

class CompressedFile extends PlainFile {
  override readonly isCompressed = true;
  #inflation: Inflation | null = null;

  override async sizeBytes(): Promise<number> {
    const trailer = Buffer.alloc(SIZE_BYTES);
    await this.handle.read(trailer, 0, SIZE_BYTES, Math.max(0, (await super.sizeBytes()) - SIZE_BYTES));
    return trailer.readUInt32LE();
  }

  override async read(target: Buffer, position: number): Promise<number> {
    if (!this.#inflation || position < this.#inflation.position) {
      await this.#inflation?.close();
      this.#inflation = new Inflation(this.handle);
    }
    return this.#inflation.read(target, position);
  }

  override async close(): Promise<void> {
    await this.#inflation?.close();
    await super.close();
  }
}

const INPUT_BYTES = 65_536;
/** zlib makes a new buffer for each piece of this size; with its default of 16 KiB it takes four times as long. */
const PIECE_BYTES = 262_144;
const NOTHING = Buffer.alloc(0);

/** Forward pass over the content of a gzip file, from its beginning. One call at a time. */
class Inflation {
  readonly #gunzip: Gunzip = createGunzip({ chunkSize: PIECE_BYTES });
  readonly #closed: Promise<void>;
  readonly #fed: Promise<void>;
  #piece: Buffer = NOTHING;
  #pieceStart = 0;
  #wake: () => void = () => {};

  constructor(handle: FileHandle) {
    this.#closed = new Promise((resolve) => this.#gunzip.once('close', resolve));
    for (const event of ['readable', 'end', 'close']) this.#gunzip.on(event, () => this.#wake());
    // The next read throws it.
    this.#gunzip.on('error', () => {});
    this.#fed = this.#feed(handle).catch((error: Error) => {
      this.#gunzip.destroy(error);
    });
  }

  /** First position that can still be read. */
  get position(): number {
    return this.#pieceStart;
  }

  /**
   * Fills `target` from `position` on, which is not before {@link Inflation.position}; returns how many bytes there
   * were. Throws the system's or zlib's error.
   */
  async read(target: Buffer, position: number): Promise<number> {
    let filled = 0;
    while (filled < target.length) {
      const at = position + filled - this.#pieceStart;
      if (at < this.#piece.length) filled += this.#piece.copy(target, filled, at);
      else if (!(await this.#next())) break;
    }
    return filled;
  }

  /** When it resolves, the file is no longer in use. */
  async close(): Promise<void> {
    this.#gunzip.destroy();
    await this.#fed;
  }

  async #next(): Promise<boolean> {
    for (;;) {
      if (this.#gunzip.errored) throw this.#gunzip.errored;
      const piece = this.#gunzip.read() as Buffer | null;
      if (piece) {
        this.#pieceStart += this.#piece.length;
        this.#piece = piece;
        return true;
      }
      if (this.#gunzip.readableEnded || this.#gunzip.destroyed) return false;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Uses one buffer for all input, because each search inflates whole files. */
  async #feed(handle: FileHandle): Promise<void> {
    const input = Buffer.allocUnsafeSlow(INPUT_BYTES);
    for (let position = 0; ; ) {
      const { bytesRead } = await handle.read(input, 0, INPUT_BYTES, position);
      if (this.#gunzip.destroyed) return;
      if (bytesRead === 0) break;
      position += bytesRead;
      // zlib calls back when it has used all of the input, but not if it is destroyed meanwhile.
      const used = new Promise<void>((resolve) => this.#gunzip.write(input.subarray(0, bytesRead), () => resolve()));
      await Promise.race([used, this.#closed]);
      if (this.#gunzip.destroyed) return;
    }
    this.#gunzip.end();
  }
}
