/** Makes layers, ordinary ones with the headers of node-tar and hostile ones byte by byte. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Header } from 'tar';
import { findTestProgram } from '../processes/test-program.ts';

/** An entry to be packed; a file with `content` by default. */
export interface LayerEntry {
  readonly name: string;
  readonly type?: keyof typeof TYPES;
  readonly content?: string | Buffer;
  readonly linkname?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: Date;
  readonly devmajor?: number;
  readonly devminor?: number;
  readonly pax?: Readonly<Record<string, string>>;
}

const TYPES = {
  file: 'File',
  link: 'Link',
  symlink: 'SymbolicLink',
  'character-device': 'CharacterDevice',
  'block-device': 'BlockDevice',
  directory: 'Directory',
  fifo: 'FIFO',
} as const;

/** A tar archive. */
export async function packTar(entries: readonly LayerEntry[]): Promise<Buffer> {
  return Buffer.concat([...entries.flatMap(packEntry), END_OF_ARCHIVE]);
}

function packEntry(entry: LayerEntry): Buffer[] {
  const { name, type = 'file', linkname, mode = type === 'directory' ? 0o755 : 0o644, pax = {} } = entry;
  const { uid = 0, gid = 0, mtime = new Date(0), devmajor = 0, devminor = 0 } = entry;
  const content = Buffer.from(entry.content ?? '');
  const link = linkname === undefined ? {} : { linkpath: linkname };
  const fields = { path: name, ...link, type: TYPES[type], size: content.length, mode, uid, gid, mtime };
  const header = new Header({ ...fields, devmaj: devmajor, devmin: devminor });
  const block = Buffer.alloc(512);
  const records = header.encode(block) ? { path: name, ...link, ...pax } : pax;
  const extension = Object.keys(records).length > 0 ? [rawPax(records)] : [];
  return [...extension, block, content, Buffer.alloc(-content.length & 511)];
}

/** Writes a blob into `dir`, and gives its path. */
export function writeBlob(dir: string, name: string, bytes: Buffer): string {
  const path = join(dir, name);
  writeFileSync(path, bytes);
  return path;
}

/** Writes layers, the lowest first. */
export async function writeLayers(dir: string, layers: readonly (readonly LayerEntry[])[]): Promise<string[]> {
  const archives = await Promise.all(layers.map(packTar));
  return archives.map((archive, index) =>
    writeBlob(dir, `layer-${index}`, index % 2 === 0 ? archive : gzipSync(archive, { level: 1 })),
  );
}

/** Compresses with the zstd program. */
export function zstd(bytes: Buffer, ...options: readonly string[]): Buffer {
  return execFileSync(findTestProgram('zstd'), ['-q', '-c', ...options], {
    input: bytes,
    maxBuffer: 2 ** 30,
  });
}

/** A header of tar, byte by byte, for what node-tar would not write. */
export function rawHeader(fields: {
  name: Buffer | string;
  type: string;
  size?: number;
  linkname?: string;
  mode?: string;
}): Buffer {
  const header = Buffer.alloc(512);
  Buffer.from(fields.name).copy(header, 0, 0, 100);
  header.write(fields.mode ?? '0000644', 100);
  header.write('0000000', 108);
  header.write('0000000', 116);
  header.write((fields.size ?? 0).toString(8).padStart(11, '0'), 124);
  header.write('00000000000', 136);
  header.write('        ', 148);
  header.write(fields.type, 156);
  header.write(fields.linkname ?? '', 157);
  header.write('ustar\x0000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/** A header with the content behind it, filled to whole blocks. */
export function rawEntry(header: Omit<Parameters<typeof rawHeader>[0], 'size'>, content: Buffer): Buffer {
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return Buffer.concat([rawHeader({ ...header, size: content.length }), content, padding]);
}

/** An extended header of records whose values may be binary; of type `g` it is for all that follows. */
export function rawPax(records: Readonly<Record<string, Buffer | string>>, type: 'x' | 'g' = 'x'): Buffer {
  const lines = Object.entries(records).map(([keyword, value]) => {
    const body = Buffer.concat([Buffer.from(` ${keyword}=`), Buffer.from(value), Buffer.from('\n')]);
    let length = body.length + 1;
    while (String(length).length + body.length !== length) length += 1;
    return Buffer.concat([Buffer.from(String(length)), body]);
  });
  return rawEntry({ name: 'PaxHeader', type }, Buffer.concat(lines));
}

export const END_OF_ARCHIVE = Buffer.alloc(1024);
