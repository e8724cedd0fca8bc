import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import type { StoredImage } from '../../../src/protocol/images.ts';
import { loadImages } from '../../../workers/images/load.ts';
import { listImages } from '../../../workers/images/store/list.ts';
import { LARGE, makeStore, PLATFORM, type TestStore } from '../../helpers/images/harness.ts';
import { ARCHITECTURE, digestOf, layoutFiles, makeImage, makeTar } from '../../helpers/images/images.ts';
import { END_OF_ARCHIVE, rawHeader } from '../../helpers/images/layers.ts';

type Files = readonly (readonly [string, Buffer | string])[];

interface LoadSettings {
  readonly name?: string;
  readonly max_image_size_bytes?: number;
  readonly change?: (archive: Buffer) => Buffer;
}

async function load(to: TestStore, files: Files, settings: LoadSettings = {}): Promise<readonly StoredImage[]> {
  const { name = null, max_image_size_bytes = LARGE, change = (archive) => archive } = settings;
  const path = join(to.dir, 'archive.tar');
  writeFileSync(path, change(await makeTar(files)));
  const { signal } = new AbortController();
  const job = { platform: PLATFORM, max_image_size_bytes, path, name };
  return loadImages(job, { store: to.store, signal, report: (event) => to.events.push(event) });
}

/** Files as `docker save` has written them: a folder per layer, one of them a link to another. */
function dockerFiles(layers: readonly Buffer[], tags: readonly string[] | null): [string, Buffer | string][] {
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: ARCHITECTURE,
      rootfs: { type: 'layers', diff_ids: layers.map(unpacked) },
    }),
  );
  const configName = `${digestOf(config).slice(7)}.json`;
  const names = layers.map((_, index) => `${index}/layer.tar`);
  return [
    ...layers.map((layer, index): [string, Buffer] => [names[index]!, layer]),
    ['link/layer.tar', '../0/layer.tar'],
    [configName, config],
    [
      'manifest.json',
      Buffer.from(
        JSON.stringify([{ Config: configName, RepoTags: tags, Layers: ['link/layer.tar', ...names.slice(1)] }]),
      ),
    ],
  ];
}

const SECOND = Buffer.from('the second layer');

function unpacked(layer: Buffer): string {
  return digestOf(layer[0] === 0x1f ? SECOND : layer);
}

test('an OCI archive is loaded blob for blob under the name in it', async (t) => {
  const to = await makeStore(t);
  const image = makeImage({ layers: [Buffer.from('one'), Buffer.from('two')] });
  const files = layoutFiles(image, 'docker.io/team/app:1');
  const expected = { name: 'docker.io/team/app:1', digest: image.digest };
  assert.deepEqual(await load(to, files), [{ ...expected, unchanged: false }]);
  assert.deepEqual(to.blobs().sort(), [image.digest, ...image.blobs.keys()].sort());
  assert.deepEqual(to.partial(), []);
  assert.deepEqual(await load(to, files, { change: (archive) => gzipSync(archive) }), [
    { ...expected, unchanged: true },
  ]);
});

test('a docker-archive is loaded with compressed layers, plain ones and links between them', async (t) => {
  const to = await makeStore(t);
  const [stored, ...more] = await load(
    to,
    dockerFiles([Buffer.from('the first'), gzipSync(SECOND)], ['app:1', 'app:2']),
  );
  assert.equal(stored?.name, 'docker.io/library/app:1');
  assert.deepEqual(
    more.map(({ name }) => name),
    ['docker.io/library/app:2'],
  );
  assert.equal(to.blobs().length, 4);
  const [listed] = await listImages(to.store);
  assert.equal(listed?.layers, 2);
});

test('an unnamed image needs --name', async (t) => {
  const to = await makeStore(t);
  const image = makeImage();
  for (const name of [null, 'latest']) {
    await assert.rejects(load(to, layoutFiles(image, name)), { code: 'Usage', message: /--name/ });
  }
  await assert.rejects(load(to, dockerFiles([SECOND], null)), { code: 'Usage' });
  assert.deepEqual(to.blobs(), []);
  const [stored] = await load(to, layoutFiles(image, 'latest'), { name: 'mine' });
  assert.equal(stored?.name, 'docker.io/library/mine:latest');
});

test('a forged, incomplete, truncated or too large archive leaves nothing behind', async (t) => {
  const to = await makeStore(t);
  const image = makeImage();
  const files = layoutFiles(image, 'docker.io/team/app:1');
  const layer = `blobs/${image.layers[0]!.replace(':', '/')}`;
  const archives: Record<string, [Files, LoadSettings?]> = {
    'another layer': [files.map(([name, bytes]) => [name, name === layer ? Buffer.from('other') : bytes])],
    'a layer of another length': [
      files.map(([name, bytes]) => [name, name === layer ? Buffer.concat([bytes, bytes]) : bytes]),
    ],
    'a missing layer': [files.filter(([name]) => name !== layer)],
    'the same name twice': [[...files, [layer, Buffer.from('other')]]],
    'a cut tar': [files, { change: (archive) => archive.subarray(0, 3000) }],
    'a cut gzip': [files, { change: (archive) => gzipSync(archive).subarray(0, 100) }],
    'too many bytes': [[...files, ['large', Buffer.alloc(10_000)]], { max_image_size_bytes: 10_000 }],
    'links in a circle': [
      [
        ['oci-layout', 'index.json'],
        ['index.json', 'oci-layout'],
      ],
    ],
    'a name that no file could have': [[...files, ['n'.repeat(5000), Buffer.from('x')]]],
    'a link to such a name': [[...files, ['link', 'n'.repeat(5000)]]],
    'no image': [[['README', Buffer.from('nothing')]]],
    'no tar': [[], { change: () => Buffer.from('not a tar at all'.repeat(100)) }],
    'a docker layer that the config does not list': [
      dockerFiles([SECOND], ['a:1']).map(([name, bytes]) => [
        name,
        name === '0/layer.tar' ? Buffer.from('other') : bytes,
      ]),
    ],
    'another platform': [layoutFiles(makeImage({ architecture: 'sparc' }), 'docker.io/team/app:1')],
  };
  for (const [what, [content, settings]] of Object.entries(archives)) {
    await assert.rejects(load(to, content, settings), { code: 'ImageInvalid' }, what);
    assert.deepEqual([...to.blobs(), ...to.partial()], [], what);
  }
  await assert.rejects(
    loadImages(
      { platform: PLATFORM, max_image_size_bytes: LARGE, path: '/nonexistent.tar', name: null },
      { store: to.store, signal: new AbortController().signal, report: () => {} },
    ),
    { code: 'Usage', message: /nonexistent.tar cannot be read: no such file or directory \(ENOENT\)/ },
  );
});

test('a small archive that decompresses to gigabytes of no file is refused on the way', async (t) => {
  const to = await makeStore(t);
  const size = 100 * 2 ** 20;
  const strange = Buffer.concat([rawHeader({ name: 'x', type: 'Z', size }), Buffer.alloc(size), END_OF_ARCHIVE]);
  const settings = { max_image_size_bytes: 10_000, change: () => gzipSync(strange, { level: 1 }) };
  await assert.rejects(load(to, [], settings), {
    code: 'ImageInvalid',
    message: /archive\.tar has more than 9\.77 KiB$/,
  });
});
