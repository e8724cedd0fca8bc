/** Converts entries of tar archives to inodes of the tree. */
import { encodeDevice } from '../erofs/erofs-format.ts';
import { invalidImage, limitExceeded, showBytes } from '../limits.ts';
import { type Attributes, FileInode, FileType, SpecialInode, SymlinkInode } from '../rootfs/tree.ts';
import { renderXattrs } from '../rootfs/xattrs.ts';
import { parsePaxTime } from './tar-header.ts';
import type { TarEntry } from './tar-reader.ts';

const PERMISSIONS = 0o7777;
const MAX_ID = 0xffffffff;
/** Largest major and minor device number, `new_encode_dev()` of Linux: 12 and 20 bits. */
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;
/** Maximum length of a symlink target in bytes, see symlink(2). */
const MAX_TARGET_BYTES = 4095;
/** Prefix for extended attributes in star, GNU tar and Go. */
const XATTR_KEYWORD = 'SCHILY.xattr.';
const SPARSE_KEYWORD = 'GNU.sparse.';

/** Attributes of an entry. @throws MonocoreError `ImageInvalid` for attributes that Linux does not allow */
export function attributesOf(entry: TarEntry): Attributes {
  const preciseTime = entry.pax?.mtime ? parsePaxTime(entry.pax.mtime) : null;
  const xattrs = Object.entries(entry.pax ?? {})
    .filter(([keyword]) => keyword.startsWith(XATTR_KEYWORD))
    .map(([keyword, value]) => [keyword.slice(XATTR_KEYWORD.length), value] as const);
  return {
    mode: typeOf(entry) | ((entry.mode || 0) & PERMISSIONS),
    uid: idOf(entry, 'uid'),
    gid: idOf(entry, 'gid'),
    // A malformed time is no reason to reject a file.
    mtimeS: preciseTime?.seconds ?? (entry.mtimeS || 0),
    mtimeNs: preciseTime?.nanoseconds ?? 0,
    xattrs: renderXattrs(xattrs, entry.name),
  };
}

/** Creates the inode of a file that is neither a directory nor a hard link. */
export function inodeOf(entry: TarEntry, attributes: Attributes): FileInode | SymlinkInode | SpecialInode {
  switch (attributes.mode & ~PERMISSIONS) {
    case FileType.file:
      if (Object.keys(entry.pax ?? {}).some((keyword) => keyword.startsWith(SPARSE_KEYWORD))) {
        throw invalidImage(`${showBytes(entry.name)} is a sparse file; such archives are not supported`);
      }
      return new FileInode(attributes, entry.size);
    case FileType.symlink:
      // Linux reports all permissions for symlinks.
      return new SymlinkInode({ ...attributes, mode: FileType.symlink | 0o777 }, targetOf(entry));
    case FileType.fifo:
      return new SpecialInode(attributes, 0);
    default:
      return new SpecialInode(attributes, deviceOf(entry));
  }
}

function typeOf({ name, type }: TarEntry): number {
  if (type !== null && type in FileType) return FileType[type as keyof typeof FileType];
  throw invalidImage(`${showBytes(name)} has a type that is not supported`);
}

function targetOf({ name, linkname: target }: TarEntry): string {
  if (target === '' || target.includes('\0')) throw invalidImage(`the symlink ${showBytes(name)} has no valid target`);
  if (target.length > MAX_TARGET_BYTES) {
    throw limitExceeded('path', `the target of the symlink ${showBytes(name)} has more than ${MAX_TARGET_BYTES} bytes`);
  }
  return target;
}

function idOf(entry: TarEntry, keyword: 'uid' | 'gid'): number {
  const precise = entry.pax?.[keyword];
  const id = precise ? Number(precise) : entry[keyword];
  if (!Number.isInteger(id) || id < 0 || id > MAX_ID) {
    throw invalidImage(`${showBytes(entry.name)} has an impossible ${keyword}: ${id}`);
  }
  return id;
}

function deviceOf({ name, devmajor, devminor }: TarEntry): number {
  const [major, minor] = [devmajor || 0, devminor || 0];
  if (major < 0 || major > MAX_MAJOR || minor < 0 || minor > MAX_MINOR) {
    throw invalidImage(`${showBytes(name)} is an impossible device: ${major}:${minor}`);
  }
  return encodeDevice(major, minor);
}
