/**
 * Unpacks an archive of images into files of the store's partial folder. Names in the archive are only looked up, never
 * used as paths, so nothing in it can write anywhere else.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { errorCode, errorText, MonocoreError } from '../../../src/lib/errors.ts';
import { formatSize } from '../../../src/lib/units.ts';
import { writeFully } from '../erofs/file-writer.ts';
import { compressionOf, decompress } from '../layers/decompression.ts';
import { MAX_PATH_BYTES } from '../layers/limits.ts';
import { type ContentSink, readTar, type TarEntry } from '../layers/tar-reader.ts';
import type { ImageManifest } from '../manifest.ts';

/** Prefix of a load's files, see `ImagePaths`. */
export const LOAD_PREFIX = 'load-';
/** Most entries of an archive: a few for each layer. */
const MAX_ENTRIES = 20_000;
/** Most links from a name to its file. */
const MAX_LINKS = 8;

/** A file of an archive. */
export interface ArchiveFile {
  /** Absolute, in the partial folder; its content is on disk. */
  readonly path: string;
  readonly digest: string;
  readonly size: number;
}

/** An image of an archive, ready to be moved into the store. Its files are verified against the digests that name them. */
export interface ArchivedImage {
  /** Names in the archive, as they stand there. */
  readonly names: readonly string[];
  /** The manifest's bytes, from the archive or made for it. */
  readonly bytes: Buffer;
  readonly manifest: ImageManifest;
  /** Blobs by digest, without the manifest. */
  readonly blobs: ReadonlyMap<string, ArchiveFile>;
}

/** Content of an archive, by normalised name. */
export class Archive {
  readonly files = new Map<string, ArchiveFile>();
  readonly links = new Map<string, string>();

  /** Finds a file by its name and follows links. */
  find(name: string): ArchiveFile | null {
    let at = normalize(name);
    for (let links = 0; links <= MAX_LINKS; links += 1) {
      const file = this.files.get(at);
      if (file) return file;
      const target = this.links.get(at);
      if (target === undefined) return null;
      at = normalize(target);
    }
    return null;
  }

  /** Reads a small document. @throws MonocoreError `ImageInvalid` when it is missing or above `maxBytes` */
  async read(name: string, maxBytes: number): Promise<Buffer> {
    const file = this.find(name);
    if (!file) throw new MonocoreError('ImageInvalid', `the archive has no ${JSON.stringify(name)}`);
    if (file.size > maxBytes) {
      throw new MonocoreError(
        'ImageInvalid',
        `${JSON.stringify(name)} in the archive is larger than ${formatSize(maxBytes)}`,
      );
    }
    return readFile(file.path);
  }
}

/** Limits and surroundings of {@link unpackArchive}. */
interface UnpackContext {
  readonly partialDir: string;
  /** Most bytes of all files together, decompressed. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Unpacks an archive, compressed with gzip or zstd or not at all.
 *
 * @throws MonocoreError `ImageInvalid`, `Usage` for a file that cannot be read; the system's error; the signal's reason
 */
export async function unpackArchive(path: string, { partialDir, maxBytes, signal }: UnpackContext): Promise<Archive> {
  await compressionOf(path).catch((cause: unknown) => {
    throw new MonocoreError('Usage', `${path} cannot be read (${errorCode(cause)})`, { cause });
  });
  const archive = new Archive();
  let leftBytes = maxBytes;
  let entries = 0;
  let sink: FileSink | null = null;

  function take(entry: TarEntry): ContentSink | null {
    entries += 1;
    if (entries > MAX_ENTRIES) throw new MonocoreError('ImageInvalid', `${path} has more than ${MAX_ENTRIES} entries`);
    const longest = Math.max(entry.name.length, entry.linkname.length);
    if (longest > MAX_PATH_BYTES) throw new MonocoreError('ImageInvalid', `${path} has a name of ${longest} bytes`);
    const name = normalize(entry.name);
    if (entry.type === 'symlink') archive.links.set(name, posix.join(posix.dirname(name), entry.linkname));
    if (entry.type === 'link') archive.links.set(name, entry.linkname);
    if (entry.type !== 'file') return null;
    leftBytes -= entry.size;
    if (leftBytes < 0) {
      throw new MonocoreError('ImageInvalid', `${path} has more than ${formatSize(maxBytes)}`, {
        details: { hint: '--max-image-size allows more' },
      });
    }
    // Two files of one name: the one that was verified might not be the one that is used.
    if (archive.files.has(name)) throw new MonocoreError('ImageInvalid', `${path} has ${JSON.stringify(name)} twice`);
    sink = new FileSink(join(partialDir, `${LOAD_PREFIX}${entries}`), (file) => archive.files.set(name, file));
    return sink;
  }

  try {
    await readTar(
      decompress(path, () => {}, signal),
      take,
    );
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof MonocoreError || /^E[A-Z0-9]+$/.test(errorCode(error) ?? '')) throw error;
    throw new MonocoreError('ImageInvalid', `${path} is not a valid tar archive: ${errorText(error)}`, {
      cause: error,
    });
  } finally {
    (sink as FileSink | null)?.close();
  }
  for (const file of archive.files.values()) {
    signal.throwIfAborted();
    await syncFile(file.path);
  }
  return archive;
}

/** Writes a file and hashes it; synchronous, because the job has its thread for itself. */
class FileSink implements ContentSink {
  readonly #path: string;
  readonly #onEnd: (file: ArchiveFile) => void;
  readonly #hash = createHash('sha256');
  #fd: number | null;
  #size = 0;

  constructor(path: string, onEnd: (file: ArchiveFile) => void) {
    this.#path = path;
    this.#onEnd = onEnd;
    this.#fd = openSync(path, 'w', 0o600);
  }

  write(chunk: Buffer): void {
    this.#hash.update(chunk);
    writeFully(this.#fd!, chunk, this.#size);
    this.#size += chunk.length;
  }

  end(): void {
    this.close();
    this.#onEnd({ path: this.#path, digest: `sha256:${this.#hash.digest('hex')}`, size: this.#size });
  }

  /** Frees the descriptor, also of a file that is not complete. */
  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Turns `./a//b` into `a/b`; `..` never leads out of the archive. */
function normalize(name: string): string {
  return posix.join('/', name).slice(1);
}
