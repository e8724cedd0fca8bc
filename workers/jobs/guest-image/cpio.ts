/** Writes cpio archives in the `newc` format, which Linux unpacks as an initramfs (cpio(5), initramfs docs). */

const TRAILER = 'TRAILER!!!';
const EMPTY = Buffer.alloc(0);
const TYPE = 0o170000;
const DIRECTORY = 0o040000;

/** Entry to write. Paths have no leading slash; a folder must come before its content. */
export interface CpioEntry {
  readonly path: string;
  /** Type and permissions, see stat(2). */
  readonly mode: number;
  readonly content: Uint8Array;
}

export function directory(path: string, mode = 0o755): CpioEntry {
  return { path, mode: DIRECTORY | mode, content: EMPTY };
}

export function file(path: string, content: Uint8Array | string, mode = 0o644): CpioEntry {
  return { path, mode: 0o100000 | mode, content: typeof content === 'string' ? Buffer.from(content) : content };
}

export function symlink(path: string, target: string): CpioEntry {
  return { path, mode: 0o120777, content: Buffer.from(target) };
}

/** Zeros that pad a length to a multiple of 4 bytes. */
function pad(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}

function renderEntry(inode: number, { path, mode, content }: CpioEntry): Buffer {
  const name = Buffer.from(`${path}\0`);
  const links = (mode & TYPE) === DIRECTORY ? 2 : 1;
  // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check. Owner root and time 0,
  // so that equal content results in equal archives.
  const fields = [inode, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, name.length, 0];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
  return Buffer.concat([header, name, pad(header.length + name.length), content, pad(content.length)]);
}

/** Archive of the entries, in the given order. */
export function renderCpio(entries: readonly CpioEntry[]): Buffer {
  const parts = entries.map((entry, index) => renderEntry(index + 1, entry));
  return Buffer.concat([...parts, renderEntry(0, { path: TRAILER, mode: 0, content: EMPTY })]);
}
