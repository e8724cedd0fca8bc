/** Files of the log folder: lists them and reads them, compressed or not. Positions are the same in both forms. */
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip, type Gunzip } from 'node:zlib';
import { nullIfMissing } from '../../src/lib/errors.ts';
import {
  COMPRESSED_SUFFIX,
  fileName,
  parseFileName,
  type StreamId,
  streamKey,
} from '../../src/protocol/log-files/names.ts';

/** Stream that has files, and their numbers in ascending order, including compressed files. */
export interface StreamFiles {
  readonly id: StreamId;
  readonly numbers: readonly number[];
}

/** Lists the files in `logDir` of every stream that `selects` accepts; none if the folder does not exist. */
export async function listStreamFiles(logDir: string, selects: (id: StreamId) => boolean): Promise<StreamFiles[]> {
  const byKey = new Map<string, { id: StreamId; numbers: Set<number> }>();
  for (const name of (await readdir(logDir).catch(nullIfMissing)) ?? []) {
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

/** Open file. It can be read to its end even if it is compressed or removed in the meantime. */
export interface LogFile {
  /** For a compressed file, going back means reading it again from the beginning. */
  readonly isCompressed: boolean;
  sizeBytes(): Promise<number>;
  /** Time of the last write, milliseconds since the epoch; preserved by compression. */
  modifiedAtMs(): Promise<number>;
  /** Fills `target` starting from `position`; returns the number of bytes read. */
  read(target: Buffer, position: number): Promise<number>;
  close(): Promise<void>;
}

/** Opens file `number` of a stream in either form; null if it was removed. Throws the system error. */
export async function openLogFile(logDir: string, id: StreamId, number: number): Promise<LogFile | null> {
  const path = join(logDir, fileName(id, number));
  // In this order, because a compression creates the compressed file before it removes the plain one.
  const plain = await open(path).catch(nullIfMissing);
  if (plain) return new PlainFile(plain);
  const compressed = await open(path + COMPRESSED_SUFFIX).catch(nullIfMissing);
  return compressed && new CompressedFile(compressed);
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

/**
 * Length of the last field of a gzip file, RFC 1952: the decompressed size modulo 2^32. Our files have one member and
 * are smaller.
 */
const SIZE_BYTES = 4;

const INPUT_BYTES = 65_536;
/**
 * Size of the buffer that zlib allocates for each piece; with its default of 16 KiB, reading takes four times as long.
 */
const PIECE_BYTES = 262_144;

class CompressedFile extends PlainFile {
  override readonly isCompressed = true;
  #gunzip: Gunzip | null = null;
  #pieces: AsyncIterator<Buffer> | null = null;
  /** Last decompressed piece, and its position. Earlier data can only be read from the beginning of the file. */
  #piece: Buffer = Buffer.alloc(0);
  #pieceStart = 0;

  override async sizeBytes(): Promise<number> {
    const trailer = Buffer.alloc(SIZE_BYTES);
    await this.handle.read(trailer, 0, SIZE_BYTES, Math.max(0, (await super.sizeBytes()) - SIZE_BYTES));
    return trailer.readUInt32LE();
  }

  /** Throws the error of the system or of zlib. */
  override async read(target: Buffer, position: number): Promise<number> {
    if (!this.#pieces || position < this.#pieceStart) this.#pieces = this.#rewind();
    let filled = 0;
    while (filled < target.length) {
      const at = position + filled - this.#pieceStart;
      if (at < this.#piece.length) {
        filled += this.#piece.copy(target, filled, at);
        continue;
      }
      const next = await this.#pieces.next();
      if (next.done) break;
      this.#pieceStart += this.#piece.length;
      this.#piece = next.value;
    }
    return filled;
  }

  override async close(): Promise<void> {
    this.#gunzip?.destroy();
    await super.close();
  }

  #rewind(): AsyncIterator<Buffer> {
    this.#gunzip?.destroy();
    this.#piece = Buffer.alloc(0);
    this.#pieceStart = 0;
    // The iterator throws errors of both streams.
    this.#gunzip = pipeline(readBlocks(this.handle), createGunzip({ chunkSize: PIECE_BYTES }), () => {});
    return this.#gunzip[Symbol.asyncIterator]();
  }
}

async function* readBlocks(handle: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafeSlow(INPUT_BYTES), 0, INPUT_BYTES, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
