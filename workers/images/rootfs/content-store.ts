/**
 * File contents during the build of an image. Whole blocks go straight into the image; short tails, which will be
 * stored after their inodes, go to a spool file. Contents hidden by upper layers leave gaps, which are closed at the
 * end.
 */
import { readSync } from 'node:fs';
import { BLOCK_BYTES, planContent } from '../erofs/erofs-format.ts';
import { FileWriter, writeFully } from '../erofs/file-writer.ts';
import type { ContentSink } from '../layers/tar-reader.ts';
import { limitExceeded } from '../limits.ts';
import type { FileInode } from './tree.ts';

const COPY_BYTES = 1024 * 1024;
/** First block for contents; the superblock is before it. */
const FIRST_BLOCK = 1;

export class ContentStore {
  readonly #imageFd: number;
  readonly #tailsFd: number;
  readonly #maxBytes: number;
  readonly #blocks: FileWriter;
  readonly #tails: FileWriter;

  /** Creates the store. @param maxBytes limit of both files together */
  constructor(imageFd: number, tailsFd: number, maxBytes: number) {
    this.#imageFd = imageFd;
    this.#tailsFd = tailsFd;
    this.#maxBytes = maxBytes;
    this.#blocks = new FileWriter(imageFd, FIRST_BLOCK * BLOCK_BYTES);
    this.#tails = new FileWriter(tailsFd);
  }

  /**
   * Opens a sink for the content of `file` and records its position. Only one file at a time.
   *
   * @throws MonocoreError `ImageInvalid` if it does not fit; errors of the system
   */
  open(file: FileInode): ContentSink {
    const { blocks, tailBytes } = planContent(file.sizeBytes);
    this.checkBytes(this.#blocks.position + blocks * BLOCK_BYTES + tailBytes);
    file.location = blocks === 0 ? 0 : this.#blocks.position / BLOCK_BYTES;
    file.tailOffset = this.#tails.position;
    let restBytes = file.sizeBytes - tailBytes;
    return {
      write: (chunk) => {
        this.#blocks.write(chunk.subarray(0, restBytes));
        this.#tails.write(chunk.subarray(restBytes));
        restBytes = Math.max(0, restBytes - chunk.length);
      },
      end: () => this.#blocks.padTo(Math.ceil(this.#blocks.position / BLOCK_BYTES) * BLOCK_BYTES),
    };
  }

  /**
   * Checks the limit.
   *
   * @throws MonocoreError `ImageInvalid` if an image of this size, together with the spool, exceeds it
   */
  checkBytes(imageBytes: number): void {
    if (imageBytes + this.#tails.position <= this.#maxBytes) return;
    throw limitExceeded('image-bytes', `the image would take more than ${this.#maxBytes} bytes`);
  }

  readTail(file: FileInode): Buffer {
    const { tailBytes } = planContent(file.sizeBytes);
    const tail = Buffer.alloc(tailBytes);
    readFully(this.#tailsFd, tail, file.tailOffset);
    return tail;
  }

  /** Flushes contents and closes the gaps between the files of the image. @returns the first block after them */
  compact(files: readonly FileInode[]): number {
    this.#blocks.flush();
    this.#tails.flush();
    let nextBlock = FIRST_BLOCK;
    const placed = files.filter(({ location }) => location > 0).sort((a, b) => a.location - b.location);
    for (const file of placed) {
      const { blocks } = planContent(file.sizeBytes);
      // Contents move only downwards, so they never overwrite content that has yet to move.
      if (file.location > nextBlock) this.#move(file.location, nextBlock, blocks);
      file.location = nextBlock;
      nextBlock += blocks;
    }
    return nextBlock;
  }

  #move(from: number, to: number, blocks: number): void {
    const buffer = Buffer.allocUnsafe(Math.min(COPY_BYTES, blocks * BLOCK_BYTES));
    for (let done = 0; done < blocks * BLOCK_BYTES; done += buffer.length) {
      const part = buffer.subarray(0, Math.min(buffer.length, blocks * BLOCK_BYTES - done));
      readFully(this.#imageFd, part, from * BLOCK_BYTES + done);
      writeFully(this.#imageFd, part, to * BLOCK_BYTES + done);
    }
  }
}

function readFully(fd: number, target: Buffer, position: number): void {
  for (let done = 0; done < target.length; ) {
    const bytes = readSync(fd, target, done, target.length - done, position + done);
    if (bytes === 0) throw new Error('the spool of an image is truncated');
    done += bytes;
  }
}
