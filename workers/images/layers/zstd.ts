/** Decompresses zstd with fzstd: zlib has it only from Node 22.15 on. */
import { Decompress } from 'fzstd';
import { invalidLayer } from './limits.ts';

/**
 * How much is given to the decoder at once: it answers with all that is in it, and a block of four bytes can become
 * 128 KiB (RFC 8878, section 3.1.1.2), so that is 64 MiB at the most.
 */
const SLICE_BYTES = 2048;
/**
 * Largest window of a frame, 128 MiB: more than any level of the zstd program uses without being asked for it
 * (`ZSTD_WINDOWLOG_LIMIT_DEFAULT`). The decoder copies the window for each block.
 */
const MAX_WINDOW_BYTES = 2 ** 27;

/** State of the frame that is being read; a number between frames. */
interface DecoderParts {
  readonly s: { readonly w: Uint8Array } | number | undefined;
}

/**
 * @param onBytes told the size of each block before it is kept; what it throws ends the decompression
 * @throws MonocoreError `ImageInvalid` for corrupt data and windows that are too large; what `chunks` throws
 */
export async function* decompressZstd(
  chunks: AsyncIterable<Buffer>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let blocks: Uint8Array[] = [];
  const decoder = new Decompress((block) => {
    const { s: frame } = decoder as unknown as DecoderParts;
    if (typeof frame === 'object' && frame.w.length > MAX_WINDOW_BYTES) {
      throw invalidLayer(`a zstd window of ${frame.w.length} bytes, at most ${MAX_WINDOW_BYTES} are supported`);
    }
    onBytes(block.length);
    if (block.length > 0) blocks.push(block);
  });
  function* take() {
    const taken = blocks;
    blocks = [];
    yield* taken;
  }
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.length; start += SLICE_BYTES) {
      decoder.push(chunk.subarray(start, start + SLICE_BYTES));
      yield* take();
    }
  }
  decoder.push(new Uint8Array(0), true);
  yield* take();
}
