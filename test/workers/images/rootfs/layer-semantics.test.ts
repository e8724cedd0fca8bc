import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join, posix } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import type { ErofsFile } from '../../../helpers/images/erofs-reader.ts';
import { applyLayers, type ModelFile } from '../../../helpers/images/layer-model.ts';
import { type LayerEntry, writeLayers } from '../../../helpers/images/layers.ts';
import { buildAndRead } from '../../../helpers/images/root-image.ts';
import { rounds } from '../../../helpers/rounds.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

const TYPES: Readonly<Record<string, number>> = { file: 8, directory: 4, symlink: 10, fifo: 1 };

/** Few names, so that layers meet. */
const name = fc.constantFrom('a', 'b', 'c', '-');
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
const attributes = {
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.integer({ min: 0, max: 0o777777 }),
  gid: fc.nat(1000),
  pax: fc.option(
    fc.string({ maxLength: 20 }).map((note) => ({ 'SCHILY.xattr.user.note': note })),
    { nil: {} },
  ),
};
const content = fc
  .tuple(fc.constantFrom(0, 1, 100, 2048, 2049, 4096, 10_000), fc.constantFrom('x', 'y', 'z'))
  .map(([length, fill]) => fill.repeat(length));
const entry: fc.Arbitrary<LayerEntry> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ name: path, type: fc.constant('file' as const), content, ...attributes }) },
  { weight: 2, arbitrary: fc.record({ name: path, type: fc.constant('directory' as const), ...attributes }) },
  {
    weight: 1,
    arbitrary: fc.record({ name: path, type: fc.constant('symlink' as const), linkname: path, ...attributes }),
  },
  { weight: 1, arbitrary: fc.record({ name: path, type: fc.constant('fifo' as const), ...attributes }) },
  { weight: 1, arbitrary: fc.record({ name: path, type: fc.constant('link' as const), linkname: path }) },
  { weight: 2, arbitrary: path.map((at) => ({ name: posix.join(posix.dirname(at), `.wh.${posix.basename(at)}`) })) },
  { weight: 1, arbitrary: path.map((at) => ({ name: posix.join(posix.dirname(at), '.wh..wh..opq') })) },
);
const layers = fc.array(fc.array(entry, { maxLength: 25 }), { minLength: 1, maxLength: 4 });

/**
 * Without links to what is not there, which are refused, and with the whiteouts first, because hard links to lower
 * files that the same layer hides have no meaning that is agreed on; the order is a test of its own.
 */
function withoutBrokenLinks(all: readonly (readonly LayerEntry[])[]): LayerEntry[][] {
  const kept: LayerEntry[][] = [];
  for (const layer of all) {
    const isWhiteout = ({ name: at }: LayerEntry) => posix.basename(at).startsWith('.wh.');
    const current: LayerEntry[] = layer.filter(isWhiteout);
    kept.push(current);
    for (const next of layer.filter((each) => !isWhiteout(each))) {
      const target = next.type === 'link' ? applyLayers(kept).get(posix.join('/', next.linkname!)) : IMAGINED;
      if (target && target.type !== 'directory') current.push(next);
    }
  }
  return kept;
}
const IMAGINED = { type: 'file' };

function describeModel(files: ReadonlyMap<string, ModelFile>): unknown[] {
  const groups = new Map<ModelFile, string[]>();
  for (const [at, file] of files) groups.set(file, [...(groups.get(file) ?? []), at].sort());
  return [...files]
    .sort(byPath)
    .map(([at, file]) => [
      at,
      (TYPES[file.type]! << 12) | file.mode,
      file.uid,
      file.gid,
      file.type === 'directory' ? '' : file.content,
      file.xattr === null ? {} : { 'user.note': Buffer.from(file.xattr).toString('latin1') },
      file.type === 'directory' ? [] : groups.get(file),
    ]);
}

function describeImage(files: ReadonlyMap<string, ErofsFile>): unknown[] {
  const groups = new Map<number, string[]>();
  for (const [at, { nid }] of files) groups.set(nid, [...(groups.get(nid) ?? []), at].sort());
  return [...files].sort(byPath).map(([at, file]) => {
    const isDirectory = file.mode >> 12 === 4;
    const names = isDirectory ? [] : groups.get(file.nid);
    if (!isDirectory) assert.equal(file.links, names?.length, `links of ${at}`);
    return [at, file.mode, file.uid, file.gid, isDirectory ? '' : file.content.toString(), file.xattrs, names];
  });
}

const byPath = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : 1);

test('the image of random layers matches the model', async (t) => {
  const dir = await makeTempDir(t);
  await fc.assert(
    fc.asyncProperty(layers, async (generated) => {
      const kept = withoutBrokenLinks(generated);
      for (const left of readdirSync(dir)) rmSync(join(dir, left));
      const image = await buildAndRead(dir, await writeLayers(dir, kept));
      assert.deepEqual(describeImage(image), describeModel(applyLayers(kept)));
    }),
    { numRuns: rounds(300) },
  );
});

test('the position of whiteouts in their layer makes no difference', async (t) => {
  const dir = await makeTempDir(t);
  const isLink = ({ type }: LayerEntry) => type === 'link';
  await fc.assert(
    fc.asyncProperty(layers, async (generated) => {
      const kept = generated.map((layer) => layer.filter((each) => !isLink(each)));
      const image = await buildAndRead(dir, await writeLayers(dir, kept));
      assert.deepEqual(describeImage(image), describeModel(applyLayers(kept)));
    }),
    { numRuns: rounds(300) },
  );
});
