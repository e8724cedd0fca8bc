/**
 * Unpacks an archive of images into files in the store's partial folder. Names in the archive are only looked up, never
 * used as paths, so nothing in it can write anywhere else.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { errorText, MonocoreError } from '../../../src/lib/errors.ts';
import { syncPath } from '../../../src/lib/files.ts';
import { formatSize } from '../../../src/lib/units.ts';
import { writeFully } from '../erofs/file-writer.ts';
import { compressionOf, decompress } from '../layers/decompression.ts';
import { type ContentSink, readTar, type TarEntry } from '../layers/tar-reader.ts';
import { asContentError, invalidImage, MAX_PATH_BYTES } from '../limits.ts';
import type { ResolvedManifest } from '../manifest.ts';
import { LOAD_PREFIX } from '../store/removal.ts';

/** Maximum number of entries in an archive: a few for each layer. */
const MAX_ENTRIES = 20_000;
/** Size of a tar header with its extensions; bounds the content that belongs to no file. */
const HEADER_BYTES = 4096;
/** Maximum number of links from a name to its file. */
const MAX_LINKS = 8;

/** File of an archive. */
export interface ArchiveFile {
  /** Absolute path in the partial folder; its content is on disk. */
  readonly path: string;
  readonly digest: string;
  readonly size: number;
}

/**
 * Image of an archive, ready to be moved into the store. Its files have been verified against the digests that name
 * them.
 */
export interface ArchivedImage extends ResolvedManifest {
  /** Names as written in the archive. */
  readonly names: readonly string[];
  /** Blobs by digest, not including the manifest. */
  readonly blobs: ReadonlyMap<string, ArchiveFile>;
}

/** Content of an archive, by normalised name. */
export class Archive {
  readonly files = new Map<string, ArchiveFile>();
  readonly links = new Map<string, string>();

  /** Finds a file, following links. */
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

  /** Reads a small document. @throws MonocoreError `ImageInvalid` if it is missing or larger than `maxBytes` */
  async read(name: string, maxBytes: number): Promise<Buffer> {
    const file = this.find(name);
    if (!file) throw invalidImage(`the archive has no ${JSON.stringify(name)}`);
    if (file.size <= maxBytes) return readFile(file.path);
    throw invalidImage(`${JSON.stringify(name)} in the archive is larger than ${formatSize(maxBytes)}`);
  }
}

/**
 * Unpacks an archive, uncompressed or compressed with gzip or zstd.
 *
 * @param maxBytes maximum total of all decompressed files
 * @throws MonocoreError `ImageInvalid`, `Usage` for a file that cannot be read; the system error; the signal's reason
 */
export async function unpackArchive(
  path: string,
  partialDir: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Archive> {
  await compressionOf(path).catch((cause: unknown) => {
    throw new MonocoreError('Usage', `${path} cannot be read: ${errorText(cause)}`, { cause });
  });
  const archive = new Archive();
  let leftBytes = maxBytes;
  let readBytes = 0;
  let entries = 0;
  /** Descriptor of the file being written; synchronous, because the job has a thread to itself. */
  let fd: number | null = null;

  function closeFile(): void {
    if (fd !== null) closeSync(fd);
    fd = null;
  }

  function tooLarge(): MonocoreError {
    const details = { hint: '--max-image-size allows more' };
    return invalidImage(`${path} has more than ${formatSize(maxBytes)}`, { details });
  }

  /** Also counts what belongs to no file, which would otherwise be decompressed without end. */
  function count(bytes: number): void {
    readBytes += bytes;
    if (readBytes > maxBytes + MAX_ENTRIES * HEADER_BYTES) throw tooLarge();
  }

  function take(entry: TarEntry): ContentSink | null {
    entries += 1;
    if (entries > MAX_ENTRIES) throw invalidImage(`${path} has more than ${MAX_ENTRIES} entries`);
    const longest = Math.max(entry.name.length, entry.linkname.length);
    if (longest > MAX_PATH_BYTES) throw invalidImage(`${path} has a name of ${longest} bytes`);
    const name = normalize(entry.name);
    if (entry.type === 'symlink') archive.links.set(name, posix.join(posix.dirname(name), entry.linkname));
    if (entry.type === 'link') archive.links.set(name, entry.linkname);
    if (entry.type !== 'file') return null;
    leftBytes -= entry.size;
    if (leftBytes < 0) throw tooLarge();
    // With two files of one name, the verified one might not be the one that is used.
    if (archive.files.has(name)) throw invalidImage(`${path} has ${JSON.stringify(name)} twice`);
    const file = join(partialDir, `${LOAD_PREFIX}${entries}`);
    const hash = createHash('sha256');
    let size = 0;
    fd = openSync(file, 'w', 0o600);
    return {
      write(chunk) {
        hash.update(chunk);
        writeFully(fd!, chunk, size);
        size += chunk.length;
      },
      end() {
        closeFile();
        archive.files.set(name, { path: file, digest: `sha256:${hash.digest('hex')}`, size });
      },
    };
  }

  try {
    await readTar(decompress(path, signal, count), take);
  } catch (error) {
    signal.throwIfAborted();
    throw asContentError(error, `${path} is not a valid tar archive`);
  } finally {
    closeFile();
  }
  for (const file of archive.files.values()) {
    signal.throwIfAborted();
    await syncPath(file.path);
  }
  return archive;
}

/** Converts `./a//b` to `a/b`; `..` never leads out of the archive. */
function normalize(name: string): string {
  return posix.join('/', name).slice(1);
}
