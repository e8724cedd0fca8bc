/** Lays out the inodes of an image after the contents of its files, and writes them. */
import { fsyncSync, ftruncateSync } from 'node:fs';
import type { ContentStore } from '../rootfs/content-store.ts';
import { type AnyInode, DirectoryInode, FileInode, SymlinkInode } from '../rootfs/tree.ts';
import {
  BLOCK_BYTES,
  INODE_BYTES,
  NID_BYTES,
  planContent,
  renderDirectory,
  renderInode,
  renderSuperblock,
  sizeOfDirectory,
} from './erofs-format.ts';
import { FileWriter, writeFully } from './file-writer.ts';

/** The first slot stays empty, so that no inode has number 0. */
const FIRST_INODE_OFFSET = INODE_BYTES;

/**
 * Writes a tree after the contents of its files, which have already been written, and syncs the image.
 *
 * @throws MonocoreError `ImageInvalid` above the limit of `contents`; errors of the system
 */
export function writeImage(fd: number, root: DirectoryInode, contents: ContentStore): void {
  const inodes = collectInodes(root);
  const nextBlock = contents.compact(inodes.filter((inode) => inode instanceof FileInode));
  const metaBlock = placeBlocks(inodes, nextBlock);
  const blocks = metaBlock + Math.ceil(placeInodes(inodes) / BLOCK_BYTES);
  contents.checkBytes(blocks * BLOCK_BYTES);
  const metaStart = metaBlock * BLOCK_BYTES;
  const meta = new FileWriter(fd, metaStart);
  for (const [index, inode] of inodes.entries()) {
    meta.padTo(metaStart + inode.nid * NID_BYTES);
    meta.write(renderInode(inode, index + 1));
    if (inode.attributes.xattrs) meta.write(inode.attributes.xattrs);
    if (inode instanceof FileInode) meta.write(contents.readTail(inode));
    else if (inode instanceof DirectoryInode || inode instanceof SymlinkInode) meta.write(writeBlocks(fd, inode));
  }
  meta.padTo(blocks * BLOCK_BYTES);
  meta.flush();
  // Written last, so that an incomplete file is not a valid image.
  writeFully(fd, renderSuperblock({ inodes: inodes.length, blocks, metaBlock, rootNid: root.nid }), 0);
  ftruncateSync(fd, blocks * BLOCK_BYTES);
  fsyncSync(fd);
}

/** Lists every inode once, starting with the root; counts links and sorts the names of directories. */
function collectInodes(root: DirectoryInode): AnyInode[] {
  const inodes: AnyInode[] = [root];
  // Grows during the iteration.
  for (const inode of inodes) {
    if (!(inode instanceof DirectoryInode)) continue;
    inode.links = 2;
    // By code units, each of which is one byte here.
    inode.names = ['.', '..', ...inode.children.keys()].sort();
    inode.sizeBytes = sizeOfDirectory(inode.names);
    for (const child of inode.children.values()) {
      if (child instanceof DirectoryInode) inode.links += 1;
      if (child.links === 0) inodes.push(child);
      child.links += 1;
    }
  }
  return inodes;
}

/** Assigns blocks to long directories and symlink targets. @returns the first block after them */
function placeBlocks(inodes: readonly AnyInode[], firstBlock: number): number {
  let nextBlock = firstBlock;
  for (const inode of inodes) {
    const { blocks } = planContent(inode.sizeBytes);
    if (blocks === 0 || inode instanceof FileInode) continue;
    inode.location = nextBlock;
    nextBlock += blocks;
  }
  return nextBlock;
}

/** Numbers inodes by their position. @returns the bytes that they occupy */
function placeInodes(inodes: readonly AnyInode[]): number {
  let end = FIRST_INODE_OFFSET;
  for (const inode of inodes) {
    const headBytes = INODE_BYTES + (inode.attributes.xattrs?.length ?? 0);
    const { tailBytes } = planContent(inode.sizeBytes);
    const offset = findOffset(end, headBytes, tailBytes);
    inode.nid = offset / NID_BYTES;
    end = offset + headBytes + tailBytes;
  }
  return end;
}

/** Finds a free offset: neither the inode nor its tail may cross the end of a block; attributes may. */
function findOffset(end: number, headBytes: number, tailBytes: number): number {
  let offset = Math.ceil(end / NID_BYTES) * NID_BYTES;
  while (
    (offset % BLOCK_BYTES) + INODE_BYTES > BLOCK_BYTES ||
    ((offset + headBytes) % BLOCK_BYTES) + tailBytes > BLOCK_BYTES
  ) {
    offset += NID_BYTES;
  }
  return offset;
}

/** Writes the whole blocks of a directory or symlink target; returns its tail. */
function writeBlocks(fd: number, inode: DirectoryInode | SymlinkInode): Buffer {
  const content = inode instanceof DirectoryInode ? renderDirectory(inode) : Buffer.from(inode.target, 'latin1');
  const { blocks, tailBytes } = planContent(content.length);
  const wholeBytes = content.length - tailBytes;
  if (blocks > 0) {
    // Padded, because contents that were moved may have left bytes there.
    const padded = Buffer.alloc(blocks * BLOCK_BYTES);
    content.copy(padded, 0, 0, wholeBytes);
    writeFully(fd, padded, inode.location * BLOCK_BYTES);
  }
  return content.subarray(wholeBytes);
}
