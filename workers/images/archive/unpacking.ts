/**
 * Reads an archive of images into files of the store's partial folder. The names in the archive are only looked up, never
 * used as paths, so nothing in it can write anywhere else.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { errorCode, errorText, MonocoreError } from '../../../src/lib/errors.ts';
import { formatSize } from '../../../src/lib/units.ts';
import { MAX_PATH_BYTES } from '../layers/limits.ts';

/** Files whose names start so are a load's, see `ImagePaths`. */
export const LOAD_PREFIX = 'load-';
/** Most entries of an archive: a few for each layer. */
const MAX_ENTRIES = 20_000;
/** Links that point to links. */
const MAX_LINKS = 8;

/** A file of an archive. */
export interface ArchiveFile {
  /** In the partial folder, and on disk. */
  readonly path: string;
  readonly digest: string;
  readonly size: number;
}

/** What was in an archive, by normalised name. */
export class Archive {
  readonly files = new Map<string, ArchiveFile>();
  readonly links = new Map<string, string>();

  /** A file by its name, links followed. */
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

  /** A small document. @throws MonocoreError `ImageInvalid` when it is missing or above `maxBytes` */
  async read(name: string, maxBytes: number): Promise<Buffer> {
    const file = this.find(name);
    if (!file) throw new MonocoreError('ImageInvalid', `the archive has no ${JSON.stringify(name)}`);
    if (file.size > maxBytes) {
      throw new MonocoreError(
        'ImageInvalid',
        `${JSON.stringify(name)} in the archive is above ${formatSize(maxBytes)}`,
      );
    }
    return readFile(file.path);
  }
}

/** Limits and ways of {@link unpackArchive}. */
export interface UnpackContext {
  readonly partialDir: string;
  /** Most bytes of all files together, unpacked. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/**
 * @param path of the archive; gzip is known by its first bytes
 * @throws MonocoreError `ImageInvalid`, `Usage` for a file that cannot be read; the system's error
 */
export async function unpackArchive(path: string, { partialDir, maxBytes, signal }: UnpackContext): Promise<Archive> {
  const archive = new Archive();
  const isPacked = await isGzip(path).catch((cause: unknown) => {
    throw new MonocoreError('Usage', `${path} cannot be read (${errorCode(cause)})`, { cause });
  });
  let leftBytes = maxBytes;
  let entries = 0;

  async function take(header: Header, entry: AsyncIterable<Buffer>): Promise<void> {
    entries += 1;
    if (entries > MAX_ENTRIES) throw new MonocoreError('ImageInvalid', `${path} has more than ${MAX_ENTRIES} entries`);
    const longest = Math.max(header.name.length, header.linkname?.length ?? 0);
    if (longest > MAX_PATH_BYTES)
      throw new MonocoreError('ImageInvalid', `${path} has a name of ${longest} characters`);
    const name = normalize(header.name);
    if (header.type === 'symlink' && header.linkname) {
      archive.links.set(name, posix.join(posix.dirname(name), header.linkname));
    } else if (header.type === 'link' && header.linkname) {
      archive.links.set(name, header.linkname);
    }
    if (header.type !== 'file' && header.type !== 'contiguous-file') {
      for await (const _ of entry);
      return;
    }
    leftBytes -= header.size ?? 0;
    if (leftBytes < 0) {
      throw new MonocoreError('ImageInvalid', `${path} has more than ${formatSize(maxBytes)}`, {
        details: { hint: '--max-image-size allows more' },
      });
    }
    // The first one counts: else what was looked at would not be what is used.
    if (archive.files.has(name)) throw new MonocoreError('ImageInvalid', `${path} has ${JSON.stringify(name)} twice`);
    archive.files.set(name, await save(join(partialDir, `${LOAD_PREFIX}${entries}`), entry));
  }

  const tar = extract();
  const reading = isPacked
    ? pipeline(createReadStream(path), createGunzip(), tar, { signal })
    : pipeline(createReadStream(path), tar, { signal });
  const taking = (async () => {
    try {
      for await (const entry of tar) await take(entry.header, entry as AsyncIterable<Buffer>);
    } catch (error) {
      tar.destroy(error instanceof Error ? error : null);
      throw error;
    }
  })();
  const outcomes = await Promise.allSettled([taking, reading]);
  const reasons = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason as unknown);
  if (reasons.length > 0) {
    signal.throwIfAborted();
    throw readingFailure(reasons, path);
  }
  return archive;
}

/** Of two ends of a stream that failed, one only knows that the other did. */
function readingFailure(reasons: readonly unknown[], path: string): unknown {
  const own = reasons.find((reason) => reason instanceof MonocoreError || /^E[A-Z]+$/.test(errorCode(reason) ?? ''));
  const text = reasons.map(errorText).at(-1);
  return own ?? new MonocoreError('ImageInvalid', `${path} is no sound tar archive: ${text}`, { cause: reasons[0] });
}

async function save(path: string, entry: AsyncIterable<Buffer>): Promise<ArchiveFile> {
  const hash = createHash('sha256');
  let size = 0;
  const file = await open(path, 'w', 0o600);
  try {
    for await (const chunk of entry) {
      hash.update(chunk);
      await file.appendFile(chunk);
      size += chunk.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { path, digest: `sha256:${hash.digest('hex')}`, size };
}

/** RFC 1952, section 2.3.1. */
export async function isGzip(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer.readUInt16BE() === 0x1f8b;
  } finally {
    await file.close();
  }
}

/** `./a//b` as `a/b`; what leads out of the archive stays in it. */
function normalize(name: string): string {
  return posix.join('/', name).slice(1);
}
