/**
 * Tree built by applying one layer after another: OCI image spec, layer.md, sections "Applying Changesets", "Whiteouts"
 * and "Opaque Whiteout". Symlinks are never followed: all components of a path are directories, and any other file
 * there is replaced by a directory. Docker, which unpacks each layer separately, does the same.
 */
import { invalidImage, limitExceeded, MAX_TEXT_BYTES } from '../limits.ts';
import { type AnyInode, type Attributes, DirectoryInode, IMPLICIT_DIRECTORY } from './tree.ts';

export class MergedTree {
  readonly root = new DirectoryInode(IMPLICIT_DIRECTORY, 0, null);
  readonly #maxEntries: number;
  readonly #xattrs = new Map<string, Buffer>();
  #layer = 0;
  #entries = 0;
  #textBytes = 0;
  /** Directories that contain names from the current layer. */
  #changed: DirectoryInode[] = [];

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  /** Begins the next layer, whose whiteouts apply to all earlier layers. */
  beginLayer(): void {
    this.#layer += 1;
    for (const directory of this.#changed) directory.fresh = null;
    this.#changed = [];
  }

  /**
   * Counts an entry, or a directory that is only part of a path.
   *
   * @throws MonocoreError `ImageInvalid` above the limit
   */
  countEntry(): void {
    this.#entries += 1;
    if (this.#entries > this.#maxEntries) {
      throw limitExceeded('entries', `the layers have more than ${this.#maxEntries} entries`);
    }
  }

  /** Counts text kept in memory. @throws MonocoreError `ImageInvalid` above the limit */
  countText(bytes: number): void {
    this.#textBytes += bytes;
    if (this.#textBytes > MAX_TEXT_BYTES) {
      throw limitExceeded('text-bytes', `names, targets and attributes of more than ${MAX_TEXT_BYTES} bytes`);
    }
  }

  /** Makes equal extended attributes share memory. */
  shareXattrs(attributes: Attributes): Attributes {
    const { xattrs } = attributes;
    if (xattrs === null) return attributes;
    const key = xattrs.toString('latin1');
    const known = this.#xattrs.get(key);
    if (known) return { ...attributes, xattrs: known };
    this.countText(2 * xattrs.length);
    this.#xattrs.set(key, xattrs);
    return attributes;
  }

  /** Puts `inode`, which is new or another link to a known one, at a path and replaces whatever is there. */
  put(names: readonly string[], inode: Exclude<AnyInode, DirectoryInode>): void {
    const name = names.at(-1);
    if (name === undefined) throw invalidImage('the root is not a directory');
    const parent = this.#enter(names.slice(0, -1));
    this.countText(name.length);
    parent.children.set(name, inode);
    this.#markFresh(parent, name);
  }

  /** Creates a directory or changes the attributes of an existing one. */
  putDirectory(names: readonly string[], attributes: Attributes): void {
    const name = names.at(-1);
    const parent = this.#enter(names.slice(0, -1));
    const directory = name === undefined ? this.root : this.#enterChild(parent, name);
    directory.attributes = attributes;
    directory.layer = this.#layer;
    if (name !== undefined) this.#markFresh(parent, name);
  }

  find(names: readonly string[]): AnyInode | null {
    let inode: AnyInode = this.root;
    for (const name of names) {
      const child: AnyInode | undefined = inode instanceof DirectoryInode ? inode.children.get(name) : undefined;
      if (child === undefined) return null;
      inode = child;
    }
    return inode;
  }

  /** Removes what lower layers have at a path; entries of the current layer stay, whatever the order. */
  remove(names: readonly string[]): void {
    const parent = this.find(names.slice(0, -1));
    const name = names.at(-1);
    if (parent instanceof DirectoryInode && name !== undefined) this.#removeLower(parent, name);
  }

  /** Removes the entries of lower layers from a directory. */
  removeContent(names: readonly string[]): void {
    const directory = this.find(names);
    if (directory instanceof DirectoryInode) this.#prune(directory);
  }

  /** Finds the directory at a path; creates missing directories and replaces other files by directories. */
  #enter(names: readonly string[]): DirectoryInode {
    let directory = this.root;
    for (const name of names) {
      // The entry itself was counted when it was read.
      if (!(directory.children.get(name) instanceof DirectoryInode)) this.countEntry();
      directory = this.#enterChild(directory, name);
    }
    return directory;
  }

  #enterChild(parent: DirectoryInode, name: string): DirectoryInode {
    const child = parent.children.get(name);
    if (child instanceof DirectoryInode) return child;
    this.countText(name.length);
    const made = new DirectoryInode(IMPLICIT_DIRECTORY, this.#layer, parent);
    parent.children.set(name, made);
    this.#markFresh(parent, name);
    return made;
  }

  #markFresh(directory: DirectoryInode, name: string): void {
    // Below the first layer there is nothing for a whiteout to remove.
    if (this.#layer <= 1) return;
    if (directory.fresh === null) this.#changed.push(directory);
    directory.fresh ??= new Set();
    directory.fresh.add(name);
  }

  #removeLower(parent: DirectoryInode, name: string): void {
    const child = parent.children.get(name);
    if (child instanceof DirectoryInode) this.#prune(child);
    const isFresh = this.#layer <= 1 || parent.fresh?.has(name);
    if (child === undefined || isFresh) return;
    if (!(child instanceof DirectoryInode) || child.children.size === 0) parent.children.delete(name);
    else if (child.layer !== this.#layer) {
      // It contains files of this layer, so it stays, but with default attributes.
      child.attributes = IMPLICIT_DIRECTORY;
      child.layer = this.#layer;
    }
  }

  #prune(directory: DirectoryInode): void {
    // This way, many whiteouts in one directory cost no more than one.
    if (directory.prunedLayer === this.#layer) return;
    directory.prunedLayer = this.#layer;
    for (const name of [...directory.children.keys()]) this.#removeLower(directory, name);
  }
}
