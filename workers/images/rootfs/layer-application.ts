/** Applies the entries of a layer to the tree: files, links and whiteouts. */

import type { EntryReader } from '../layers/entries.ts';
import { splitPath } from '../layers/entry-path.ts';
import { invalidLayer, showBytes } from '../layers/limits.ts';
import type { ContentSink, TarEntry } from '../layers/tar-reader.ts';
import type { ContentStore } from './content-store.ts';
import { assertLinkable, type MergedTree } from './merged-tree.ts';
import { FileInode } from './tree.ts';

/** OCI image spec, layer.md, section "Whiteouts". */
const WHITEOUT_PREFIX = '.wh.';
const OPAQUE_WHITEOUT = '.wh..wh..opq';
/** Names of AUFS for its own use, which old layers have; Docker skips them. */
const AUFS_PREFIX = '.wh..wh.';

/** What a layer is applied to. */
export interface ImageParts {
  readonly tree: MergedTree;
  readonly entries: EntryReader;
  readonly contents: ContentStore;
}

/**
 * @returns where the content of the entry goes, or null when it has none or none is wanted
 * @throws MonocoreError `ImageInvalid`; errors of the system
 */
export function applyEntry(entry: TarEntry, { tree, entries, contents }: ImageParts): ContentSink | null {
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
    throw invalidLayer(`${showBytes(entry.name)} is in a directory with the name of a whiteout`);
  }
  if (name.startsWith(WHITEOUT_PREFIX)) {
    tree.remove([...parents, hiddenName(name)]);
    return null;
  }
  if (entry.type === 'directory') {
    tree.putDirectory(names, entries.attributesOf(entry));
    return null;
  }
  if (entry.type === 'link') {
    const target = entry.linkname;
    const inode = tree.find(splitPath(target));
    assertLinkable(inode, entry.name, target);
    tree.put(names, inode);
    return null;
  }
  const inode = entries.inodeOf(entry);
  tree.put(names, inode);
  return inode instanceof FileInode && inode.sizeBytes > 0 ? contents.open(inode) : null;
}

function hiddenName(whiteout: string): string {
  const name = whiteout.slice(WHITEOUT_PREFIX.length);
  // Joined to a path these would name the directory itself or the one above.
  if (name === '' || name === '.' || name === '..')
    throw invalidLayer(`a whiteout that names nothing: ${showBytes(whiteout)}`);
  return name;
}
