/**
 * Entries of directories in EROFS: in each block `erofs_dirent`s of 12 bytes, then their names; sorted bytewise over all
 * blocks, so that the kernel can search by halves. Pure.
 */
import { BLOCK_BYTES } from './erofs-format.ts';

const ENTRY_BYTES = 12;

/** Target of an entry. */
interface EntryTarget {
  readonly nid: number;
  /** `file_type`. */
  readonly type: number;
}

/** Bytes that a directory takes. @param names sorted, one character per byte */
export function sizeOfEntries(names: readonly string[]): number {
  let blocks = 0;
  let used = 0;
  for (const { length } of names) {
    if (used + ENTRY_BYTES + length > BLOCK_BYTES) {
      blocks += 1;
      used = 0;
    }
    used += ENTRY_BYTES + length;
  }
  return blocks * BLOCK_BYTES + used;
}

/** The entries, {@link sizeOfEntries} bytes long. */
export function renderEntries(names: readonly string[], targetOf: (name: string) => EntryTarget): Buffer {
  const bytes = Buffer.alloc(sizeOfEntries(names));
  let blockStart = 0;
  for (let first = 0; first < names.length; ) {
    const after = endOfBlock(names, first);
    let nameOffset = (after - first) * ENTRY_BYTES;
    for (let index = first; index < after; index += 1) {
      const name = names[index]!;
      const { nid, type } = targetOf(name);
      const entry = blockStart + (index - first) * ENTRY_BYTES;
      bytes.writeBigUInt64LE(BigInt(nid), entry);
      bytes.writeUInt16LE(nameOffset, entry + 8);
      bytes.writeUInt8(type, entry + 10);
      bytes.write(name, blockStart + nameOffset, 'latin1');
      nameOffset += name.length;
    }
    blockStart += BLOCK_BYTES;
    first = after;
  }
  return bytes;
}

/** Index after the last name in the block that begins with the name at `first`. */
function endOfBlock(names: readonly string[], first: number): number {
  let used = 0;
  let index = first;
  for (; index < names.length; index += 1) {
    used += ENTRY_BYTES + names[index]!.length;
    if (used > BLOCK_BYTES) break;
  }
  return index;
}
