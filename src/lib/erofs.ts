/** Integrity check of an EROFS image, see `struct erofs_super_block` in fs/erofs/erofs_fs.h of Linux. */
import { open } from 'node:fs/promises';

const SUPERBLOCK_OFFSET = 1024;
const SUPERBLOCK_BYTES = 128;
const MAGIC = 0xe0f5e1e2;
const BLOCK_BITS_OFFSET = 12;
const BLOCKS_OFFSET = 36;

/** True if a file starts like an EROFS image and has the size stated there; false if it cannot be read. */
export async function isWholeErofs(path: string): Promise<boolean> {
  const file = await open(path).catch(() => null);
  if (file === null) return false;
  try {
    const { buffer } = await file.read(Buffer.alloc(SUPERBLOCK_BYTES), 0, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET);
    if (buffer.readUInt32LE() !== MAGIC) return false;
    const bytes = buffer.readUInt32LE(BLOCKS_OFFSET) * 2 ** buffer.readUInt8(BLOCK_BITS_OFFSET);
    return (await file.stat()).size === bytes;
  } catch {
    return false;
  } finally {
    await file.close();
  }
}
