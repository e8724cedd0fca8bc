/** Reads tar archives entry by entry, synchronously, from the chunks in which they arrive. */
import { BLOCK_BYTES, type PaxRecords, parseHeader, parsePax, parseText, type TarHeader } from './tar-header.ts';

/** Entry of the archive, with extended headers applied. */
export interface TarEntry extends TarHeader {
  readonly pax: PaxRecords | null;
}

/** Receives the content of an entry. */
export interface ContentSink {
  /** Handles a part of the content. @param chunk only valid during the call */
  write(chunk: Buffer): void;
  end(): void;
}

/** Called for each entry; returns null to skip its content. If it or the sink throws, reading ends. */
type EntryHandler = (entry: TarEntry) => ContentSink | null;

/** Largest extended header, same as `maxSpecialFileSize` of Go's `archive/tar`, with which most images are created. */
const MAX_EXTENSION_BYTES = 2 ** 20;
/** Zero blocks at the end of an archive, as defined by POSIX. */
const END_BLOCKS = 2;

/**
 * Reads an archive up to its end marker, or to the end of `chunks`.
 *
 * @throws Error if it is malformed; errors of `chunks` and `onEntry`
 */
export async function readTar(chunks: AsyncIterable<Uint8Array>, onEntry: EntryHandler): Promise<void> {
  const reader = new TarReader(onEntry);
  for await (const { buffer, byteOffset, length } of chunks) {
    if (reader.push(Buffer.from(buffer, byteOffset, length))) return;
  }
  reader.end();
}

class TarReader {
  readonly #onEntry: EntryHandler;
  /** Header that is split across chunks. */
  readonly #block = Buffer.alloc(BLOCK_BYTES);
  #blockBytes = 0;
  #sink: ContentSink | null = null;
  #contentBytes = 0;
  #paddingBytes = 0;
  #zeroBlocks = 0;
  /** Extensions for the next entry. */
  #next: { pax?: PaxRecords; name?: string; linkname?: string } = {};

  constructor(onEntry: EntryHandler) {
    this.#onEntry = onEntry;
  }

  /** Handles a chunk; returns true at the end marker. */
  push(chunk: Buffer): boolean {
    for (let at = 0; at < chunk.length; ) {
      if (this.#contentBytes > 0) {
        const content = chunk.subarray(at, at + this.#contentBytes);
        this.#sink?.write(content);
        at += content.length;
        this.#contentBytes -= content.length;
        if (this.#contentBytes === 0) this.#endContent();
      } else if (this.#paddingBytes > 0) {
        const skipped = Math.min(this.#paddingBytes, chunk.length - at);
        at += skipped;
        this.#paddingBytes -= skipped;
      } else {
        const copied = chunk.copy(this.#block, this.#blockBytes, at, at + BLOCK_BYTES - this.#blockBytes);
        at += copied;
        this.#blockBytes = (this.#blockBytes + copied) % BLOCK_BYTES;
        if (this.#blockBytes === 0 && this.#takeHeader()) return true;
      }
    }
    return false;
  }

  /** Checks the end of the input. @throws Error if the archive ends within an entry */
  end(): void {
    if (this.#blockBytes + this.#contentBytes + this.#paddingBytes > 0) {
      throw new Error('the archive ends in the middle of an entry');
    }
  }

  #takeHeader(): boolean {
    const header = parseHeader(this.#block);
    this.#zeroBlocks = header === null ? this.#zeroBlocks + 1 : 0;
    if (header === null) return this.#zeroBlocks === END_BLOCKS;
    if (header.type?.startsWith('pax') || header.type?.startsWith('gnu')) this.#takeExtension(header);
    else this.#takeEntry(header);
    return false;
  }

  #takeExtension({ type, size }: TarHeader): void {
    if (size > MAX_EXTENSION_BYTES) {
      throw new Error(`an extended header of ${size} bytes; at most ${MAX_EXTENSION_BYTES} are supported`);
    }
    const parts: Buffer[] = [];
    this.#beginContent(size, () => ({
      write: (part) => void parts.push(Buffer.from(part)),
      end: () => {
        const bytes = Buffer.concat(parts);
        if (type === 'pax') this.#next.pax = parsePax(bytes);
        if (type === 'gnu-name') this.#next.name = parseText(bytes);
        if (type === 'gnu-linkname') this.#next.linkname = parseText(bytes);
        // Global headers are ignored, as by Docker and containerd: they would have to be remembered for all later
        // entries.
      },
    }));
  }

  #takeEntry(header: TarHeader): void {
    const next = this.#next;
    const pax = next.pax ?? null;
    this.#next = {};
    // As in Go's `archive/tar`, links, directories and devices have no content, whatever size their header states.
    const hasContent = header.type === 'file' || header.type === null;
    const size = !hasContent ? 0 : pax?.size ? Number(pax.size) : header.size;
    const name = pax?.path || next.name || header.name;
    const linkname = pax?.linkpath || next.linkname || header.linkname;
    this.#beginContent(size, () => this.#onEntry({ ...header, name, linkname, size, pax }));
  }

  #beginContent(size: number, openSink: () => ContentSink | null): void {
    if (!Number.isSafeInteger(size) || size < 0) throw new Error('malformed tar header: its size is not a number');
    this.#sink = openSink();
    this.#contentBytes = size;
    this.#paddingBytes = -size & (BLOCK_BYTES - 1);
    if (size === 0) this.#endContent();
  }

  #endContent(): void {
    this.#sink?.end();
    this.#sink = null;
  }
}
