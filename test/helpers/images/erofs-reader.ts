/** Reads an EROFS image as the tests need it: fs/erofs/erofs_fs.h of Linux. Knows what is not compressed. */
import assert from 'node:assert/strict';

const BLOCK = 4096;
const XATTR_PREFIXES = [
  '',
  'user.',
  'system.posix_acl_access',
  'system.posix_acl_default',
  'trusted.',
  '',
  'security.',
];

/** A file as the image shows it. */
export interface ErofsFile {
  readonly nid: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeS: number;
  readonly mtimeNs: number;
  readonly links: number;
  /** Encoded device, for devices. */
  readonly device: number;
  readonly xattrs: Readonly<Record<string, string>>;
  /** Of a file, or the target of a symlink. */
  readonly content: Buffer;
}

/** Every file by its path, `/` being the root; names have one character per byte. Checks what a kernel relies on. */
export function readErofs(image: Buffer): Map<string, ErofsFile> {
  const superblock = image.subarray(1024);
  assert.equal(superblock.readUInt32LE(0), 0xe0f5e1e2);
  assert.equal(superblock.readUInt32LE(36) * BLOCK, image.length, 'all blocks are there');
  const metaStart = superblock.readUInt32LE(40) * BLOCK;
  const files = new Map<string, ErofsFile>();
  const walk = (path: string, nid: number, parentNid: number) => {
    const file = readInode(image, metaStart, nid);
    files.set(path || '/', file);
    if ((file.mode & 0o170000) !== 0o040000) return;
    const entries = readEntries(file.content);
    const names = entries.map(({ name }) => name);
    assert.deepEqual(
      names,
      names.toSorted((a, b) => (a < b ? -1 : 1)),
      'names are sorted',
    );
    assert.equal(new Set(names).size, names.length, 'no name is there twice');
    assert.equal(entries.find(({ name }) => name === '.')?.nid, nid);
    assert.equal(entries.find(({ name }) => name === '..')?.nid, parentNid);
    for (const entry of entries) {
      if (entry.name === '.' || entry.name === '..') continue;
      walk(`${path}/${entry.name}`, entry.nid, nid);
      const { mode } = files.get(`${path}/${entry.name}`)!;
      assert.equal(entry.type, [0, 5, 3, 0, 2, 0, 4, 0, 1, 0, 7][(mode >> 12) & 15], 'the type of the entry');
    }
  };
  const rootNid = superblock.readUInt16LE(14);
  walk('', rootNid, rootNid);
  assert.equal(Number(superblock.readBigUInt64LE(16)), new Set([...files.values()].map(({ nid }) => nid)).size);
  return files;
}

function readInode(image: Buffer, metaStart: number, nid: number): ErofsFile {
  const start = metaStart + nid * 32;
  const inode = image.subarray(start, start + 64);
  const format = inode.readUInt16LE(0);
  assert.equal(format & 1, 1, 'an extended inode');
  const xattrCount = inode.readUInt16LE(2);
  const xattrBytes = xattrCount === 0 ? 0 : 12 + 4 * (xattrCount - 1);
  const mode = inode.readUInt16LE(4);
  const size = Number(inode.readBigUInt64LE(8));
  const location = inode.readUInt32LE(16);
  const tailStart = start + 64 + xattrBytes;
  const isInline = format >> 1 === 2;
  const tailBytes = isInline ? size % BLOCK : 0;
  if (isInline) assert.ok(tailBytes > 0 && (tailStart % BLOCK) + tailBytes <= BLOCK, 'a tail crosses no block');
  const hasContent = [0o100000, 0o040000, 0o120000].includes(mode & 0o170000);
  return {
    nid,
    mode,
    uid: inode.readUInt32LE(24),
    gid: inode.readUInt32LE(28),
    mtimeS: Number(inode.readBigInt64LE(32)),
    mtimeNs: inode.readUInt32LE(40),
    links: inode.readUInt32LE(44),
    device: hasContent ? 0 : location,
    xattrs: readXattrs(image.subarray(start + 64, tailStart)),
    content: hasContent
      ? Buffer.concat([
          image.subarray(location * BLOCK, location * BLOCK + size - tailBytes),
          image.subarray(tailStart, tailStart + tailBytes),
        ])
      : Buffer.alloc(0),
  };
}

function readXattrs(body: Buffer): Record<string, string> {
  const xattrs: Record<string, string> = {};
  for (let at = 12; at < body.length; ) {
    const nameBytes = body.readUInt8(at);
    const valueBytes = body.readUInt16LE(at + 2);
    const name = XATTR_PREFIXES[body.readUInt8(at + 1)]! + body.toString('latin1', at + 4, at + 4 + nameBytes);
    xattrs[name] = body.toString('latin1', at + 4 + nameBytes, at + 4 + nameBytes + valueBytes);
    at += Math.ceil((4 + nameBytes + valueBytes) / 4) * 4;
  }
  return xattrs;
}

function readEntries(directory: Buffer): { name: string; nid: number; type: number }[] {
  const entries = [];
  for (let start = 0; start < directory.length; start += BLOCK) {
    const block = directory.subarray(start, start + BLOCK);
    const count = block.readUInt16LE(8) / 12;
    for (let index = 0; index < count; index += 1) {
      const nameStart = block.readUInt16LE(index * 12 + 8);
      const nameEnd = index + 1 < count ? block.readUInt16LE((index + 1) * 12 + 8) : block.length;
      entries.push({
        name: block.toString('latin1', nameStart, nameEnd).replace(/\0.*$/s, ''),
        nid: Number(block.readBigUInt64LE(index * 12)),
        type: block.readUInt8(index * 12 + 10),
      });
    }
  }
  return entries;
}
