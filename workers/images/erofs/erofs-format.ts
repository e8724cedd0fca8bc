/**
 * Subset of EROFS: Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h of Linux. Data is not compressed, all
 * inodes have the extended form, and Linux 5.4 supports every feature. Pure.
 */
import { FileType, TYPE_MASK } from '../rootfs/tree.ts';

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

/** Longest tail that is kept behind its inode, so that a block has room for several. */
const MAX_TAIL_BYTES = 2048;

/** Split of a content into whole blocks and a tail behind the inode. */
interface ContentPlan {
  readonly blocks: number;
  readonly tailBytes: number;
}

/** Plans a content; a long tail gets a block of its own. */
export function planContent(sizeBytes: number): ContentPlan {
  const restBytes = sizeBytes % BLOCK_BYTES;
  const wholeBlocks = (sizeBytes - restBytes) / BLOCK_BYTES;
  return restBytes > MAX_TAIL_BYTES
    ? { blocks: wholeBlocks + 1, tailBytes: 0 }
    : { blocks: wholeBlocks, tailBytes: restBytes };
}

/** Fields of `erofs_inode_extended`. */
interface InodeFields {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeS: number;
  readonly mtimeNs: number;
  readonly links: number;
  readonly sizeBytes: number;
  readonly xattrCount: number;
  /** First block of the content, or the encoded device. */
  readonly location: number;
  /** Unique number for 32-bit stat. */
  readonly number: number;
}

/** `erofs_inode_extended`. */
export function renderInode(fields: InodeFields): Buffer {
  const inode = Buffer.alloc(INODE_BYTES);
  inode.writeUInt16LE(planContent(fields.sizeBytes).tailBytes > 0 ? FLAT_INLINE : FLAT_PLAIN, 0);
  inode.writeUInt16LE(fields.xattrCount, 2);
  inode.writeUInt16LE(fields.mode, 4);
  inode.writeBigUInt64LE(BigInt(fields.sizeBytes), 8);
  inode.writeUInt32LE(fields.location, 16);
  inode.writeUInt32LE(fields.number, 20);
  inode.writeUInt32LE(fields.uid, 24);
  inode.writeUInt32LE(fields.gid, 28);
  inode.writeBigInt64LE(BigInt(fields.mtimeS), 32);
  inode.writeUInt32LE(fields.mtimeNs, 40);
  inode.writeUInt32LE(fields.links, 44);
  return inode;
}

/** `file_type` of a directory entry: `FT_…` of include/linux/fs_types.h, by the type of the mode. */
const ENTRY_TYPES: ReadonlyMap<number, number> = new Map([
  [FileType.file, 1],
  [FileType.directory, 2],
  [FileType.characterDevice, 3],
  [FileType.blockDevice, 4],
  [FileType.fifo, 5],
  [FileType.symlink, 7],
]);

export function entryType(mode: number): number {
  return ENTRY_TYPES.get(mode & TYPE_MASK) ?? 0;
}

/** A device as `new_encode_dev()` of include/linux/kdev_t.h has it. */
export function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** The first block, with the superblock in it. */
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

/** CRC-32C, bits reversed, as the kernel's `crc32c(~0, …)` gives it: without the final inversion. */
function checksum(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return crc >>> 0;
}
