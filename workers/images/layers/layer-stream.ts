/** A layer's blob as the tar archive in it. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { LAYER_MEDIA_TYPE, type LayerBlob } from '../rootfs/source.ts';
import { invalidLayer, limitPassed } from './limits.ts';
import { decompressZstd } from './zstd.ts';

const CHUNK_BYTES = 256 * 1024;

/** First bytes of gzip (RFC 1952, section 2.3.1) and zstd (RFC 8878, section 3.1), its skippable frames included. */
const isGzip = (start: Buffer) => start.length >= 3 && start.readUIntBE(0, 3) === 0x1f8b08;
const isZstd = (start: Buffer) =>
  start.length >= 4 && (start.readUInt32LE() === 0xfd2fb528 || start.readUInt32LE() >>> 4 === 0x184d2a5);

/** Counts what comes out of all layers of an image, and ends decompression at a limit. */
export class LayerByteCount {
  #bytes = 0;
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @throws MonocoreError `ImageInvalid` when there are more than the limit */
  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#maxBytes) {
      throw limitPassed('layer-bytes', `the layers have more than ${this.#maxBytes} bytes when decompressed`);
    }
  }
}

/**
 * The archive in a blob, decompressed while it is read.
 *
 * @throws MonocoreError `ImageInvalid` for media types that are no layer, for corrupt data and past the limit; errors
 * of the system
 */
export async function* readLayer({ path, mediaType }: LayerBlob, count: LayerByteCount): AsyncGenerator<Uint8Array> {
  if (!LAYER_MEDIA_TYPE.test(mediaType)) throw invalidLayer(`a layer of the type ${mediaType} is not supported`);
  const start = await readStart(path);
  const blob = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  if (isZstd(start)) {
    yield* decompressZstd(blob, (bytes) => count.add(bytes));
    return;
  }
  for await (const chunk of isGzip(start) ? gunzip(blob) : blob) {
    count.add(chunk.length);
    yield chunk;
  }
}

function gunzip(blob: Readable): Readable {
  const output = createGunzip({ chunkSize: CHUNK_BYTES });
  // Errors of either come out of the loop that reads the output.
  return pipeline(blob, output, () => {});
}

async function readStart(path: string): Promise<Buffer> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
