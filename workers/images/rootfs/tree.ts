/**
 * Inodes of the merged tree: only metadata, in memory. Names and symlink targets are byte strings, one character per
 * byte: names need not be UTF-8, and `<` sorts them as EROFS requires. Plain classes with few fields, because there may
 * be millions.
 */

/** File types in a mode, `S_IFMT` of Linux's stat.h. */
export const FileType = {
  fifo: 0o010000,
  characterDevice: 0o020000,
  directory: 0o040000,
  blockDevice: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
} as const;
export const TYPE_MASK = 0o170000;

/** Attributes of every file. */
export interface Attributes {
  /** Type and permissions. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since the epoch; whole, may be negative. */
  readonly mtimeS: number;
  readonly mtimeNs: number;
  /** Bytes as stored in the image, see `xattrs.ts`; null for none. */
  readonly xattrs: Buffer | null;
}

abstract class Inode {
  attributes: Attributes;
  /** Size of the content. For a directory it is set when the tree is laid out, as are the fields below. */
  sizeBytes: number;
  /** First block of the content, 0 for none; for a device its encoded number. */
  location = 0;
  links = 0;
  /** Position in the image in units of 32 bytes. */
  nid = 0;

  constructor(attributes: Attributes, sizeBytes = 0) {
    this.attributes = attributes;
    this.sizeBytes = sizeBytes;
  }
}

/** Regular file; `content-store.ts` manages its content. */
export class FileInode extends Inode {
  /** Offset of its tail in the spool. */
  tailOffset = 0;
}

export class SymlinkInode extends Inode {
  readonly target: string;

  constructor(attributes: Attributes, target: string) {
    super(attributes, target.length);
    this.target = target;
  }
}

/** Device or FIFO. */
export class SpecialInode extends Inode {
  constructor(attributes: Attributes, device: number) {
    super(attributes);
    this.location = device;
  }
}

export class DirectoryInode extends Inode {
  readonly children = new Map<string, AnyInode>();
  readonly parent: DirectoryInode;
  /** Layer that set its attributes. */
  layer: number;
  /** Names from the current layer, to which its whiteouts do not apply. */
  fresh: Set<string> | null = null;
  /** Last layer that pruned the directory. */
  prunedLayer = -1;
  /** Names in the order of the image, including `.` and `..`; set when the tree is laid out. */
  names: readonly string[] = [];

  /** Creates a directory. @param parent null for the root, which is its own parent */
  constructor(attributes: Attributes, layer: number, parent: DirectoryInode | null) {
    super(attributes);
    this.layer = layer;
    this.parent = parent ?? this;
  }
}

export type AnyInode = FileInode | SymlinkInode | SpecialInode | DirectoryInode;

/** Attributes of directories without an entry in any layer: the root, and those that are only part of a path. */
export const IMPLICIT_DIRECTORY: Attributes = Object.freeze({
  mode: FileType.directory | 0o755,
  uid: 0,
  gid: 0,
  mtimeS: 0,
  mtimeNs: 0,
  xattrs: null,
});
