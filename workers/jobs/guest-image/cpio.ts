/** Writes cpio archives in the `newc` format, the one that Linux unpacks as an initramfs (cpio(5), initramfs docs). */

const MODE_FILE = 0o100000;
const MODE_DIRECTORY = 0o040000;
const MODE_SYMLINK = 0o120000;
const MODE_FIFO = 0o010000;
const TRAILER = 'TRAILER!!!';

/** An entry to write. Paths have no leading slash; a folder comes before what is in it. */
export type CpioEntry =
  | { readonly type: 'directory'; readonly path: string; readonly mode?: number }
  | { readonly type: 'file'; readonly path: string; readonly content: Uint8Array; readonly mode: number }
  | { readonly type: 'symlink'; readonly path: string; readonly target: string }
  | { readonly type: 'fifo'; readonly path: string; readonly mode: number };

/** Everything is padded to 4 bytes. */
function pad(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}

function renderEntry(inode: number, path: string, mode: number, content: Uint8Array): Buffer {
  const name = Buffer.from(`${path}\0`);
  const isDirectory = (mode & 0o170000) === MODE_DIRECTORY;
  // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check: owner root, time 0, so
  // that equal content gives an equal archive.
  const fields = [inode, mode, 0, 0, isDirectory ? 2 : 1, 0, content.length, 0, 0, 0, 0, name.length, 0];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
  return Buffer.concat([header, name, pad(header.length + name.length), content, pad(content.length)]);
}

function renderBody(entry: CpioEntry): { mode: number; content: Uint8Array } {
  switch (entry.type) {
    case 'directory':
      return { mode: MODE_DIRECTORY | (entry.mode ?? 0o755), content: Buffer.alloc(0) };
    case 'file':
      return { mode: MODE_FILE | entry.mode, content: entry.content };
    case 'symlink':
      return { mode: MODE_SYMLINK | 0o777, content: Buffer.from(entry.target) };
    case 'fifo':
      return { mode: MODE_FIFO | entry.mode, content: Buffer.alloc(0) };
  }
}

/** The archive of the entries, in their order. */
export function renderCpio(entries: readonly CpioEntry[]): Buffer {
  const parts = entries.map((entry, index) => {
    const { mode, content } = renderBody(entry);
    return renderEntry(index + 1, entry.path, mode, content);
  });
  return Buffer.concat([...parts, renderEntry(0, TRAILER, 0, Buffer.alloc(0))]);
}
