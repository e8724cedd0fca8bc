/** Layout of an image: contents of files, then long directories and symlink targets, then inodes. */

import { type AnyInode, DirectoryInode, FileInode, SymlinkInode } from '../rootfs/tree.ts';
import { sizeOfEntries } from './directory-blocks.ts';
import { BLOCK_BYTES, INODE_BYTES, NID_BYTES, planContent } from './erofs-format.ts';

/** The first slot stays empty, so that no inode has the number 0. */
const FIRST_INODE_OFFSET = INODE_BYTES;

export interface ImageLayout {
  /** Every inode once, in the order of the image, the root first. */
  readonly inodes: readonly AnyInode[];
  /** First block of the inodes. */
  readonly metaBlock: number;
  /** Number of blocks of the image. */
  readonly blocks: number;
}

/** Lists every inode once, the root first; counts links and sorts the names of directories. */
export function collectInodes(root: DirectoryInode): AnyInode[] {
  const inodes: AnyInode[] = [root];
  // Grows while it is iterated.
  for (const inode of inodes) {
    if (!(inode instanceof DirectoryInode)) continue;
    inode.links = 2;
    inode.names = ['.', '..', ...inode.children.keys()].sort(compareBytes);
    for (const child of inode.children.values()) {
      if (child instanceof DirectoryInode) inode.links += 1;
      if (child.links === 0) inodes.push(child);
      child.links += 1;
    }
  }
  return inodes;
}

/**
 * Places inodes, directories and symlink targets behind the contents of files.
 *
 * @param nextBlock the first block that is free
 */
export function layOut(inodes: readonly AnyInode[], nextBlock: number): ImageLayout {
  let metaBlock = nextBlock;
  for (const inode of inodes) {
    if (inode instanceof DirectoryInode) inode.sizeBytes = sizeOfEntries(inode.names);
    if (inode instanceof FileInode) continue;
    const { blocks } = planContent(sizeOf(inode));
    if (blocks > 0 && (inode instanceof DirectoryInode || inode instanceof SymlinkInode)) inode.block = metaBlock;
    metaBlock += blocks;
  }
  let end = FIRST_INODE_OFFSET;
  for (const inode of inodes) {
    const headBytes = INODE_BYTES + (inode.attributes.xattrs?.length ?? 0);
    const { tailBytes } = planContent(sizeOf(inode));
    const offset = findOffset(end, headBytes, tailBytes);
    inode.nid = offset / NID_BYTES;
    end = offset + headBytes + tailBytes;
  }
  return { inodes, metaBlock, blocks: metaBlock + Math.ceil(end / BLOCK_BYTES) };
}

/** Size of the content of an inode. */
export function sizeOf(inode: AnyInode): number {
  if (inode instanceof FileInode || inode instanceof DirectoryInode) return inode.sizeBytes;
  return inode instanceof SymlinkInode ? inode.target.length : 0;
}

/** Finds room: neither the inode nor its tail may cross a block's end; attributes may. */
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

function compareBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
