import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { readTar, type TarEntry } from '../../../../workers/images/layers/tar-reader.ts';
import {
  END_OF_ARCHIVE,
  type LayerEntry,
  packTar,
  rawEntry,
  rawHeader,
  rawPax,
} from '../../../helpers/images/layers.ts';

interface Read extends TarEntry {
  readonly content: string;
}

/** Reads entries with their content. @param chunkBytes size of the archive's chunks */
async function read(archive: Buffer, chunkBytes = archive.length): Promise<Read[]> {
  const found: Read[] = [];
  async function* chunks() {
    for (let at = 0; at < archive.length; at += chunkBytes) yield archive.subarray(at, at + chunkBytes);
  }
  await readTar(chunks(), (entry) => {
    const parts: Buffer[] = [];
    return {
      write: (part) => void parts.push(Buffer.from(part)),
      end: () => found.push({ ...entry, content: Buffer.concat(parts).toString('latin1') }),
    };
  });
  return found;
}

/** A header with some bytes replaced and its checksum corrected. */
function patched(header: Buffer, ...patches: readonly (readonly [offset: number, bytes: string])[]): Buffer {
  const block = Buffer.from(header);
  for (const [offset, bytes] of patches) block.write(bytes, offset, 'latin1');
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

const FILE = rawHeader({ name: 'f', type: '0' });
const one = async (...parts: readonly Buffer[]): Promise<Read> => {
  const entries = await read(Buffer.concat(parts));
  assert.equal(entries.length, 1);
  return entries[0]!;
};

test('an archive reads the same in chunks of any size', async () => {
  const entries: LayerEntry[] = [
    { name: 'a'.repeat(150), content: 'long name' },
    { name: 'ü', content: 'x'.repeat(513), pax: { 'SCHILY.xattr.user.a': 'line\nline' } },
    { name: 'd', type: 'directory' },
    { name: 'd/empty' },
    { name: 'l', type: 'symlink', linkname: 't'.repeat(120) },
  ];
  const archive = await packTar(entries);
  const whole = await read(archive);
  assert.deepEqual(
    whole.map(({ name, linkname, content }) => [Buffer.from(name, 'latin1').toString(), linkname, content]),
    entries.map(({ name, linkname = '', content = '' }) => [name, linkname, content]),
  );
  assert.equal(whole[1]!.pax?.['SCHILY.xattr.user.a'], 'line\nline');
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1100 }), async (bytes) => {
      assert.deepEqual(await read(archive, bytes), whole);
    }),
    { numRuns: 30 },
  );
});

test('names keep their bytes, valid UTF-8 or not', async () => {
  const name = Buffer.from([0x66, 0xff, 0xc3, 0x28]);
  assert.equal((await one(rawHeader({ name, type: '0' }))).name, name.toString('latin1'));
  assert.equal((await one(rawPax({ path: name }), FILE)).name, name.toString('latin1'));
});

test('numbers are octal, blank for 0, or base 256', async () => {
  const { mode, uid, gid, mtimeS } = await one(
    patched(FILE, [100, ' 644 \0  '], [108, '\0'.repeat(8)], [116, '\x80\0\0\0\0\x20\0\0'], [136, '\xff'.repeat(12)]),
  );
  assert.deepEqual([mode, uid, gid, mtimeS], [0o644, 0, 0x200000, -1]);
  assert.ok(Number.isNaN((await one(patched(FILE, [108, '00x0000']))).uid));
  const size = patched(FILE, [124, '\x80\0\0\0\0\0\0\0\0\0\0\x03']);
  assert.equal((await one(size, Buffer.from('abc'), Buffer.alloc(509))).content, 'abc');
  for (const bytes of ['zzz', '\xff'.repeat(12), '\x80'.padEnd(12, '\x7f')]) {
    await assert.rejects(read(patched(FILE, [124, bytes])), /its size is not a number/);
  }
  await assert.rejects(read(Buffer.concat([rawPax({ size: 'many' }), FILE])), /its size is not a number/);
});

test('GNU archives have device numbers, long names and no prefix; POSIX archives have a prefix', async () => {
  const gnu = patched(
    rawHeader({ name: 'null', type: '3' }),
    [257, 'ustar  \0'],
    [329, '0000001'],
    [337, '0000003'],
    [345, '12345'],
  );
  const { name, devmajor, devminor } = await one(gnu);
  assert.deepEqual([name, devmajor, devminor], ['null', 1, 3]);
  const long = (type: string, text: string) => rawEntry({ name: '././@LongLink', type }, Buffer.from(`${text}\0`));
  const linked = await one(long('K', 't'.repeat(200)), long('L', 'n'.repeat(200)), rawHeader({ name: 'n', type: '2' }));
  assert.deepEqual([linked.name, linked.linkname], ['n'.repeat(200), 't'.repeat(200)]);
  assert.equal((await one(patched(FILE, [345, 'some/prefix']))).name, 'some/prefix/f');
  const old = await one(patched(rawHeader({ name: 'old/', type: '\0' }), [257, '\0'.repeat(8)]));
  assert.deepEqual([old.name, old.type], ['old/', 'directory']);
});

test('an extended header applies to the next entry only, and its size is checked before it is read', async () => {
  const second = rawHeader({ name: 'g', type: '0' });
  const archive = Buffer.concat([
    rawPax({ path: 'p', size: '3', uid: '7' }),
    FILE,
    Buffer.from('abc'),
    Buffer.alloc(509),
    second,
  ]);
  const entries = await read(Buffer.concat([archive, END_OF_ARCHIVE]));
  assert.deepEqual(
    entries.map(({ name, content, pax }) => [name, content, pax?.uid]),
    [
      ['p', 'abc', '7'],
      ['g', '', undefined],
    ],
  );
  for (const type of ['x', 'g', 'L', 'K']) {
    const header = rawHeader({ name: 'x', type, size: 2 ** 20 + 1 });
    await assert.rejects(read(header), /an extended header of 1048577 bytes/);
  }
});
