/** Applies the entries of a layer to the tree: files, links and whiteouts. */
import { attributesOf, inodeOf } from '../layers/entries.ts';
import type { ContentSink, TarEntry } from '../layers/tar-reader.ts';
import { invalidImage, limitExceeded, MAX_NAME_BYTES, MAX_PATH_BYTES, showBytes } from '../limits.ts';
import type { ContentStore } from './content-store.ts';
import type { MergedTree } from './merged-tree.ts';
import { DirectoryInode, FileInode, SymlinkInode } from './tree.ts';

/** Prefix of whiteouts, see OCI image spec, layer.md, section "Whiteouts". */
const WHITEOUT_PREFIX = '.wh.';
const OPAQUE_WHITEOUT = '.wh..wh..opq';
/** Prefix of AUFS's own files in old layers, which Docker skips as well. */
const AUFS_PREFIX = '.wh..wh.';

/**
 * Applies an entry.
 *
 * @returns the sink for its content; null if it has none or none is needed
 * @throws MonocoreError `ImageInvalid`; errors of the system
 */
export function applyEntry(entry: TarEntry, tree: MergedTree, contents: ContentStore): ContentSink | null {
  tree.countEntry();
  const names = splitPath(entry.name);
  const name = names.at(-1) ?? '';
  const parents = names.slice(0, -1);
  if (name === OPAQUE_WHITEOUT) {
    tree.removeContent(parents);
    return null;
  }
  if (names.some((each) => each.startsWith(AUFS_PREFIX))) return null;
  if (parents.some((each) => each.startsWith(WHITEOUT_PREFIX))) {
    throw invalidImage(`${showBytes(entry.name)} is in a directory with the name of a whiteout`);
  }
  if (name.startsWith(WHITEOUT_PREFIX)) {
    tree.remove([...parents, hiddenName(name)]);
    return null;
  }
  if (entry.type === 'directory') {
    tree.putDirectory(names, tree.shareXattrs(attributesOf(entry)));
    return null;
  }
  if (entry.type === 'link') {
    const inode = tree.find(splitPath(entry.linkname));
    const link = `${showBytes(entry.name)} is a hard link to`;
    if (inode === null) throw invalidImage(`${link} ${showBytes(entry.linkname)}, which does not exist`);
    if (inode instanceof DirectoryInode) throw invalidImage(`${link} the directory ${showBytes(entry.linkname)}`);
    tree.put(names, inode);
    return null;
  }
  const inode = inodeOf(entry, tree.shareXattrs(attributesOf(entry)));
  if (inode instanceof SymlinkInode) tree.countText(inode.target.length);
  tree.put(names, inode);
  return inode instanceof FileInode && inode.sizeBytes > 0 ? contents.open(inode) : null;
}

function hiddenName(whiteout: string): string {
  const name = whiteout.slice(WHITEOUT_PREFIX.length);
  // These would refer to the directory itself or its parent.
  if (!['', '.', '..'].includes(name)) return name;
  throw invalidImage(`a whiteout that names nothing: ${showBytes(whiteout)}`);
}

/**
 * Splits `path` into names, starting at the root; empty for the root itself. As in a chroot, a leading `/` and `./` are
 * ignored and `..` of the root is the root, so that no path leads out of the image. Symlinks are not followed.
 *
 * @param path one character per byte
 * @throws MonocoreError `ImageInvalid` for a path or name that Linux does not allow
 */
function splitPath(path: string): string[] {
  if (path.length > MAX_PATH_BYTES) {
    throw limitExceeded('path', `a path of ${path.length} bytes, the limit is ${MAX_PATH_BYTES}: ${showBytes(path)}`);
  }
  if (path.includes('\0')) throw invalidImage(`a path with a zero byte: ${showBytes(path)}`);
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name.length > MAX_NAME_BYTES) {
      throw limitExceeded('name', `a name of ${name.length} bytes, the limit is ${MAX_NAME_BYTES}: ${showBytes(path)}`);
    }
    if (name === '..') names.pop();
    else names.push(name);
  }
  return names;
}
