/**
 * The merged tree of an image: metadata only, held in memory. Names and targets are byte strings, one character per
 * byte, so that names that are not UTF-8 stay what they are and `<` compares as EROFS sorts. Plain classes with few
 * fields, because there may be millions.
 */

/** Types of files in a mode: `S_IFMT` and others, stat.h of Linux. */
export const FileType = {
  fifo: 0o010000,
  characterDevice: 0o020000,
  directory: 0o040000,
  blockDevice: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
} as const;
export const TYPE_MASK = 0o170000;

/** What every file has. */
export interface Attributes {
  /** Type and permissions. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since the epoch; whole, may be negative. */
  readonly mtimeS: number;
  readonly mtimeNs: number;
  /** As in the image, see `xattrs.ts`; null for none. */
  readonly xattrs: Buffer | null;
}

abstract class Inode {
  attributes: Attributes;
  /** How many names it has; a directory those of its subdirectories, too. Counted when the tree is laid out. */
  links = 0;
  /** Where it is in the image, in units of 32 bytes; given when the tree is laid out. */
  nid = 0;

  constructor(attributes: Attributes) {
    this.attributes = attributes;
  }
}

/** A regular file; where its content is, see `content-store.ts`. */
export class FileInode extends Inode {
  readonly sizeBytes: number;
  /** First block of the content in the image. */
  block = 0;
  /** Where the content behind the last of its blocks is, in the spool of tails. */
  tailOffset = 0;

  constructor(attributes: Attributes, sizeBytes: number) {
    super(attributes);
    this.sizeBytes = sizeBytes;
  }
}

export class SymlinkInode extends Inode {
  readonly target: string;
  /** First block of a long target; given when the tree is laid out. */
  block = 0;

  constructor(attributes: Attributes, target: string) {
    super(attributes);
    this.target = target;
  }
}

/** A device or FIFO. */
export class SpecialInode extends Inode {
  /** Encoded as in the image. */
  readonly device: number;

  constructor(attributes: Attributes, device: number) {
    super(attributes);
    this.device = device;
  }
}

export class DirectoryInode extends Inode {
  readonly children = new Map<string, AnyInode>();
  readonly parent: DirectoryInode;
  /** Number of the layer that gave it its attributes. */
  layer: number;
  /** Names that the layer `freshLayer` gave it; whiteouts of that layer spare them. */
  fresh: Set<string> | null = null;
  freshLayer = -1;
  /** The last layer that removed from it what lower layers had given it. */
  prunedLayer = -1;
  /** Names in the order of the image, `.` and `..` included; given when the tree is laid out. */
  names: readonly string[] = [];
  /** Size of the entries in bytes and their first block; given when the tree is laid out. */
  sizeBytes = 0;
  block = 0;

  /** @param parent null for the root, which is its own parent */
  constructor(attributes: Attributes, layer: number, parent: DirectoryInode | null) {
    super(attributes);
    this.layer = layer;
    this.parent = parent ?? this;
  }
}

export type AnyInode = FileInode | SymlinkInode | SpecialInode | DirectoryInode;

/** Of directories that no layer describes: the root, or one that only paths of other entries name. */
export const IMPLICIT_DIRECTORY: Attributes = Object.freeze({
  mode: FileType.directory | 0o755,
  uid: 0,
  gid: 0,
  mtimeS: 0,
  mtimeNs: 0,
  xattrs: null,
});
