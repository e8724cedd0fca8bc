/** Decompresses files; gzip and zstd are recognised by their first bytes. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import { invalidImage } from '../limits.ts';

const CHUNK_BYTES = 256 * 1024;
/**
 * Number of bytes passed to the zstd decoder at once. It returns all decompressed data at once, and a block of four
 * bytes can become 128 KiB (RFC 8878, section 3.1.1.2), so this limits it to 64 MiB.
 */
const ZSTD_SLICE_BYTES = 2048;
/**
 * Largest window of a zstd frame, 128 MiB: more than any level of the zstd program uses by default
 * (`ZSTD_WINDOWLOG_LIMIT_DEFAULT`). The decoder copies the window for each block.
 */
const MAX_ZSTD_WINDOW_BYTES = 2 ** 27;

/** Compression of a file: RFC 1952, section 2.3.1, and RFC 8878, section 3.1, skippable frames included. */
export async function compressionOf(path: string): Promise<'gzip' | 'zstd' | null> {
  const file = await open(path);
  try {
    const start = Buffer.alloc(4);
    const { bytesRead } = await file.read(start, 0, 4, 0);
    if (bytesRead >= 3 && start.readUIntBE(0, 3) === 0x1f8b08) return 'gzip';
    if (bytesRead < 4) return null;
    const magic = start.readUInt32LE();
    return magic === 0xfd2fb528 || magic >>> 4 === 0x184d2a5 ? 'zstd' : null;
  } finally {
    await file.close();
  }
}

/**
 * Decompresses a file while reading it.
 *
 * @param onBytes receives the size of each chunk before it is kept; if it throws, decompression ends
 * @throws MonocoreError `ImageInvalid` for a zstd window that is too large; errors of the system and of the decoders;
 * the signal's reason
 */
export async function* decompress(
  path: string,
  signal: AbortSignal,
  onBytes: (bytes: number) => void = () => {},
): AsyncGenerator<Uint8Array> {
  const compression = await compressionOf(path);
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  let chunks: AsyncIterable<Uint8Array> = file;
  if (compression === 'zstd') chunks = unzstd(file, onBytes);
  // Errors of either stream surface in the loop that reads the last one.
  if (compression === 'gzip') chunks = pipeline(file, createGunzip({ chunkSize: CHUNK_BYTES }), () => {});
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    if (compression !== 'zstd') onBytes(chunk.length);
    yield chunk;
  }
}

/** Decompresses zstd with fzstd: zlib supports it only since Node 22.15. */
async function* unzstd(chunks: AsyncIterable<Buffer>, onBytes: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  const blocks: Uint8Array[] = [];
  const decoder = new Decompress((block) => {
    // State of the current frame with its window; a number between frames.
    const { s: frame } = decoder as unknown as { s: { w: Uint8Array } | number | undefined };
    if (typeof frame === 'object' && frame.w.length > MAX_ZSTD_WINDOW_BYTES) {
      throw invalidImage(`a zstd window of ${frame.w.length} bytes; at most ${MAX_ZSTD_WINDOW_BYTES} are supported`);
    }
    onBytes(block.length);
    if (block.length > 0) blocks.push(block);
  });
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.length; start += ZSTD_SLICE_BYTES) {
      decoder.push(chunk.subarray(start, start + ZSTD_SLICE_BYTES));
      yield* blocks.splice(0);
    }
  }
  decoder.push(new Uint8Array(0), true);
  yield* blocks.splice(0);
}
