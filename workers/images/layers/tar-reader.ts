/** Entries of a tar archive, one by one, with their content. */
import { type Extract, extract, type Header } from 'tar-stream';
import { type PaxRecords, parsePax } from './pax.ts';

/** An entry as it stands in the archive; texts have one character per byte. */
export interface TarEntry extends Omit<Header, 'pax' | 'type'> {
  /** Null for types that tar-stream does not know, those of sparse files for example. */
  readonly type: Header['type'] | null;
  readonly pax: PaxRecords | null;
}

/** Takes the content of an entry that is not empty. */
export interface ContentSink {
  write(chunk: Buffer): void;
  end(): void;
}

/** Called for each entry; null when its content is not wanted. What it or the sink throws ends the reading. */
export type EntryHandler = (entry: TarEntry) => ContentSink | null;

/** Types whose size says nothing: no content follows their header, whatever it says. As in Go's `archive/tar`. */
const TYPES_WITHOUT_CONTENT = new Set<string | null>([
  'link',
  'symlink',
  'directory',
  'character-device',
  'block-device',
  'fifo',
]);
/** As POSIX has it. tar-stream would read on. */
const ZERO_BLOCKS_AT_END = 2;

/** What is changed of tar-stream; its version is fixed in package.json for that. */
interface ExtractParts {
  _header: { type: string | null; size: number } | null;
  _pax: PaxRecords | null;
  _decodeLongHeader(bytes: Buffer): void;
  _applyLongHeaders(): void;
  _consumeHeader(): boolean;
}

/**
 * Reads an archive to its end mark, or to the end of `chunks`.
 *
 * @throws Error of tar-stream when it is malformed; what `chunks` and `onEntry` throw
 */
export async function readTar(chunks: AsyncIterable<Uint8Array>, onEntry: EntryHandler): Promise<void> {
  // 'latin1' keeps bytes; archives from before POSIX have no magic number.
  const options = { filenameEncoding: 'latin1', allowUnknownFormat: true };
  const archive: Extract = extract(options as Parameters<typeof extract>[0]);
  const state: { failure: unknown; isEnded: boolean; wake: () => void } = {
    failure: null,
    isEnded: false,
    wake: () => {},
  };
  const fail = (error: unknown) => {
    state.failure ??= error;
    archive.destroy(error instanceof Error ? error : new Error(String(error)));
  };
  adapt(archive as unknown as ExtractParts, () => {
    state.isEnded = true;
    archive.destroy();
  });
  archive.on('error', (error) => {
    state.failure ??= error;
  });
  archive.on('drain', () => state.wake());
  const closed = new Promise<void>((resolve) => {
    archive.on('close', () => {
      state.wake();
      resolve();
    });
  });
  archive.on('entry', (header, content, next) => {
    // Emitted for the entry, too, when the archive is destroyed.
    content.on('error', () => {});
    try {
      const sink = onEntry(header as unknown as TarEntry);
      // At once it would recurse, an entry deeper each time.
      if (header.size === 0) return queueMicrotask(next);
      content.on('data', (chunk) => attempt(() => sink?.write(chunk as Buffer)));
      content.on('end', () => {
        attempt(() => sink?.end());
        next();
      });
    } catch (error) {
      fail(error);
    }
  });
  const attempt = (action: () => void) => {
    if (state.failure !== null) return;
    try {
      action();
    } catch (error) {
      fail(error);
    }
  };

  const isOver = () => state.failure !== null || state.isEnded;
  try {
    for await (const chunk of chunks) {
      if (!archive.write(chunk) && !archive.destroyed) {
        await new Promise<void>((resolve) => {
          state.wake = resolve;
        });
      }
      if (isOver()) break;
    }
    if (!isOver()) archive.end(undefined);
  } catch (error) {
    fail(error);
  }
  await closed;
  if (state.failure !== null) throw state.failure;
}

/** Lets extended headers be read as bytes, sizes that say nothing be ignored, and the end mark be seen. */
function adapt(archive: ExtractParts, onEnd: () => void): void {
  const decodeLongHeader = archive._decodeLongHeader;
  archive._decodeLongHeader = function (bytes) {
    if (this._header?.type === 'pax-header') this._pax = parsePax(bytes);
    // Those for all that follows are ignored, as by Docker and containerd. They would have to be kept: without end.
    else if (this._header?.type !== 'pax-global-header') decodeLongHeader.call(this, bytes);
  };
  const applyLongHeaders = archive._applyLongHeaders;
  archive._applyLongHeaders = function () {
    applyLongHeaders.call(this);
    if (this._header && TYPES_WITHOUT_CONTENT.has(this._header.type)) this._header.size = 0;
  };
  const consumeHeader = archive._consumeHeader;
  let zeroBlocks = 0;
  archive._consumeHeader = function () {
    const goesOn = consumeHeader.call(this);
    zeroBlocks = goesOn && this._header === null ? zeroBlocks + 1 : 0;
    if (zeroBlocks < ZERO_BLOCKS_AT_END) return goesOn;
    onEnd();
    return false;
  };
}
