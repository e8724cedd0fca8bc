/** Writes the metadata of an image around the contents of files, which are already there. */
import type { ContentStore } from '../rootfs/content-store.ts';
import { type AnyInode, DirectoryInode, FileInode, SpecialInode, type SymlinkInode } from '../rootfs/tree.ts';
import { xattrCount } from '../rootfs/xattrs.ts';
import { renderEntries } from './directory-blocks.ts';
import { BLOCK_BYTES, entryType, NID_BYTES, planContent, renderInode, renderSuperblock } from './erofs-format.ts';
import { FileWriter, writeFully } from './file-writer.ts';
import { type ImageLayout, sizeOf } from './image-layout.ts';

/** @throws errors of the system */
export function writeImage(fd: number, { inodes, metaBlock, blocks }: ImageLayout, contents: ContentStore): void {
  const metaStart = metaBlock * BLOCK_BYTES;
  const meta = new FileWriter(fd, metaStart);
  let number = 0;
  for (const inode of inodes) {
    number += 1;
    meta.padTo(metaStart + inode.nid * NID_BYTES);
    meta.write(renderFields(inode, number));
    if (inode.attributes.xattrs) meta.write(inode.attributes.xattrs);
    if (inode instanceof FileInode) meta.write(contents.readTail(inode));
    else if (!(inode instanceof SpecialInode)) meta.write(writeBlocks(fd, inode));
  }
  meta.padTo(blocks * BLOCK_BYTES);
  meta.flush();
  const rootNid = inodes[0]!.nid;
  // Last, so that an incomplete file is not an image.
  writeFully(fd, renderSuperblock({ inodes: inodes.length, blocks, metaBlock, rootNid }), 0);
}

function renderFields(inode: AnyInode, number: number): Buffer {
  // Field by field: a spread took a quarter of the time for an image of many files.
  const { mode, uid, gid, mtimeS, mtimeNs, xattrs } = inode.attributes;
  return renderInode({
    mode,
    uid,
    gid,
    mtimeS,
    mtimeNs,
    links: inode.links,
    sizeBytes: sizeOf(inode),
    xattrCount: xattrCount(xattrs),
    location: inode instanceof SpecialInode ? inode.device : inode.block,
    number,
  });
}

/** Writes the whole blocks of a directory or target; returns its tail. */
function writeBlocks(fd: number, inode: DirectoryInode | SymlinkInode): Buffer {
  const content = inode instanceof DirectoryInode ? renderDirectory(inode) : Buffer.from(inode.target, 'latin1');
  const { blocks, tailBytes } = planContent(content.length);
  const inBlocks = content.subarray(0, content.length - tailBytes);
  if (blocks > 0) {
    writeFully(fd, inBlocks, inode.block * BLOCK_BYTES);
    // Contents that were moved may have left bytes there.
    const padding = Buffer.alloc(blocks * BLOCK_BYTES - inBlocks.length);
    writeFully(fd, padding, inode.block * BLOCK_BYTES + inBlocks.length);
  }
  return content.subarray(content.length - tailBytes);
}

function renderDirectory(directory: DirectoryInode): Buffer {
  return renderEntries(directory.names, (name) => {
    const target =
      name === '.' ? directory : name === '..' ? directory.parent : (directory.children.get(name) ?? directory);
    return { nid: target.nid, type: entryType(target.attributes.mode) };
  });
}
