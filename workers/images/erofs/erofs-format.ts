/**
 * Subset of EROFS: Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h of Linux. Data is not compressed, all
 * inodes have the extended form, and every feature is supported since Linux 5.4. Pure.
 */
import { type AnyInode, type DirectoryInode, FileType, TYPE_MASK } from '../rootfs/tree.ts';
import { xattrCount } from '../rootfs/xattrs.ts';

export const BLOCK_BYTES = 4096;
/** Unit of inode numbers. */
export const NID_BYTES = 32;
export const INODE_BYTES = 64;

const BLOCK_BITS = 12;
const SUPERBLOCK_OFFSET = 1024;
const MAGIC = 0xe0f5e1e2;
/** `EROFS_FEATURE_COMPAT_SB_CHKSUM` and `EROFS_FEATURE_COMPAT_MTIME`. */
const COMPATIBLE_FEATURES = 0x1 | 0x2;

/** `i_format`: bit 0 for the extended form, layout from bit 1 on. */
const EXTENDED = 1;
const FLAT_PLAIN = EXTENDED | (0 << 1);
const FLAT_INLINE = EXTENDED | (2 << 1);

/** Longest tail that is stored after its inode, so that several fit into a block. */
const MAX_TAIL_BYTES = 2048;

/** Splits content into whole blocks and a tail stored after the inode; a long tail gets a block of its own. */
export function planContent(sizeBytes: number): { readonly blocks: number; readonly tailBytes: number } {
  const restBytes = sizeBytes % BLOCK_BYTES;
  const wholeBlocks = (sizeBytes - restBytes) / BLOCK_BYTES;
  return restBytes > MAX_TAIL_BYTES
    ? { blocks: wholeBlocks + 1, tailBytes: 0 }
    : { blocks: wholeBlocks, tailBytes: restBytes };
}

/** `erofs_inode_extended`. @param number unique, for 32-bit stat */
export function renderInode({ attributes, sizeBytes, links, location }: AnyInode, number: number): Buffer {
  const inode = Buffer.alloc(INODE_BYTES);
  inode.writeUInt16LE(planContent(sizeBytes).tailBytes > 0 ? FLAT_INLINE : FLAT_PLAIN, 0);
  inode.writeUInt16LE(xattrCount(attributes.xattrs), 2);
  inode.writeUInt16LE(attributes.mode, 4);
  inode.writeBigUInt64LE(BigInt(sizeBytes), 8);
  inode.writeUInt32LE(location, 16);
  inode.writeUInt32LE(number, 20);
  inode.writeUInt32LE(attributes.uid, 24);
  inode.writeUInt32LE(attributes.gid, 28);
  inode.writeBigInt64LE(BigInt(attributes.mtimeS), 32);
  inode.writeUInt32LE(attributes.mtimeNs, 40);
  inode.writeUInt32LE(links, 44);
  return inode;
}

/** Encodes a device number like `new_encode_dev()` of include/linux/kdev_t.h. */
export function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** Size of `erofs_dirent`. Each block of a directory contains its entries, followed by their names. */
const ENTRY_BYTES = 12;

/** `file_type` of a directory entry: `FT_…` of include/linux/fs_types.h, by the type in the mode. */
const ENTRY_TYPES: ReadonlyMap<number, number> = new Map([
  [FileType.file, 1],
  [FileType.directory, 2],
  [FileType.characterDevice, 3],
  [FileType.blockDevice, 4],
  [FileType.fifo, 5],
  [FileType.symlink, 7],
]);

/** Splits the names of a directory into blocks. @param names sorted, one character per byte */
function splitNames(names: readonly string[]): string[][] {
  const blocks: string[][] = [];
  let freeBytes = 0;
  for (const name of names) {
    const bytes = ENTRY_BYTES + name.length;
    if (bytes > freeBytes) {
      blocks.push([]);
      freeBytes = BLOCK_BYTES;
    }
    freeBytes -= bytes;
    blocks.at(-1)!.push(name);
  }
  return blocks;
}

/** Size of a directory in bytes. */
export function sizeOfDirectory(names: readonly string[]): number {
  const blocks = splitNames(names);
  const lastBytes = blocks.at(-1)!.reduce((sum, { length }) => sum + ENTRY_BYTES + length, 0);
  return (blocks.length - 1) * BLOCK_BYTES + lastBytes;
}

/** Entries of a directory, sorted bytewise across all blocks, because the kernel uses binary search. */
export function renderDirectory(directory: DirectoryInode): Buffer {
  const { names, children, parent } = directory;
  const bytes = Buffer.alloc(directory.sizeBytes);
  let blockStart = 0;
  for (const block of splitNames(names)) {
    let entry = blockStart;
    let nameOffset = block.length * ENTRY_BYTES;
    for (const name of block) {
      const { nid, attributes } = name === '..' ? parent : (children.get(name) ?? directory);
      bytes.writeBigUInt64LE(BigInt(nid), entry);
      bytes.writeUInt16LE(nameOffset, entry + 8);
      bytes.writeUInt8(ENTRY_TYPES.get(attributes.mode & TYPE_MASK) ?? 0, entry + 10);
      bytes.write(name, blockStart + nameOffset, 'latin1');
      entry += ENTRY_BYTES;
      nameOffset += name.length;
    }
    blockStart += BLOCK_BYTES;
  }
  return bytes;
}

/** First block, which contains the superblock. */
export function renderSuperblock(fields: {
  inodes: number;
  blocks: number;
  metaBlock: number;
  rootNid: number;
}): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const superblock = block.subarray(SUPERBLOCK_OFFSET);
  superblock.writeUInt32LE(MAGIC, 0);
  superblock.writeUInt32LE(COMPATIBLE_FEATURES, 8);
  superblock.writeUInt8(BLOCK_BITS, 12);
  superblock.writeUInt16LE(fields.rootNid, 14);
  superblock.writeBigUInt64LE(BigInt(fields.inodes), 16);
  superblock.writeUInt32LE(fields.blocks, 36);
  superblock.writeUInt32LE(fields.metaBlock, 40);
  superblock.writeUInt32LE(checksum(superblock), 4);
  return block;
}

/** Bit-reversed CRC-32C, as computed by the kernel's `crc32c(~0, …)`: without the final inversion. */
function checksum(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return crc >>> 0;
}
