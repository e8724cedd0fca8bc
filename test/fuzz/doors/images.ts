/** Doors of registries and of archives: images, and the answers around them. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import * as v from 'valibot';
import { ImageDefaultsSchema } from '../../../src/protocol/images.ts';
import { HomePaths } from '../../../src/state/paths.ts';
import { renderJobWords } from '../../../src/vm/guest/job.ts';
import { defaultStopSignal, describeOmissions, imageCommand } from '../../../src/vm/host/service-command.ts';
import { loadImages } from '../../../workers/images/load.ts';
import {
  blobsOf,
  choosePlatform,
  defaultsOf,
  parseConfig as parseImageConfig,
  parseManifest,
} from '../../../workers/images/manifest.ts';
import { createAuthorization } from '../../../workers/images/registry/authorization.ts';
import { findCredentials } from '../../../workers/images/registry/credentials.ts';
import type { Transport } from '../../../workers/images/registry/transport.ts';
import { buildRootImage } from '../../../workers/images/rootfs/build.ts';
import { ImageStore } from '../../../workers/images/store/store.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { ARCHITECTURE, digestOf, layoutFiles, makeImage, makeTar } from '../../helpers/images/images.ts';
import { packTar, rawEntry, rawHeader, rawPax, zstd } from '../../helpers/images/layers.ts';
import { type Door, refuses, toBytes } from '../door.ts';

const PLATFORM = { os: 'linux', architecture: ARCHITECTURE };

async function enterManifest(input: Buffer): Promise<void> {
  await refuses(['ImageInvalid'], () => {
    const manifest = parseManifest(input, 'application/vnd.oci.image.manifest.v1+json', 'it');
    if ('config' in manifest) blobsOf(manifest);
    else choosePlatform(manifest.manifests, PLATFORM, 'it');
  });
  // `StartFailed` is of an image without a command.
  await refuses(['ImageInvalid', 'StartFailed'], () => {
    const defaults = v.parse(ImageDefaultsSchema, defaultsOf(parseImageConfig(input, 1, 'it')));
    describeOmissions(defaults);
    assert.match(defaultStopSignal(defaults), /^[A-Z0-9]+$/);
    const service = scriptService('web', '', { image: 'web:1', command: null, args: [], workdir: null });
    const facts = { serviceCommand: imageCommand(service, defaults), network: true, groupIndex: 1 };
    // A zero ends a word of the job.
    for (const word of renderJobWords(service, facts)) assert.match(word, /^[a-z_]+=[^\0]*$/);
  });
}

/** Gives each header of a tar its checksum: almost every change would be refused for that alone. */
function mendTar(input: Buffer): Buffer {
  for (let at = 0; at + 512 <= input.length; at += 512) {
    const block = input.subarray(at, at + 512);
    if (block.toString('latin1', 257, 262) !== 'ustar') continue;
    block.write('        ', 148, 'latin1');
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  }
  return input;
}

/** Of a layer below the input. */
const LOWER = [
  { name: 'd', type: 'directory' as const },
  { name: 'd/f', content: 'text' },
  { name: 'd/l', type: 'symlink' as const, linkname: '../d/f' },
  { name: 'e/f', content: 'x'.repeat(5000) },
];

async function enterLayer(input: Buffer, dir: string): Promise<void> {
  const [lower, upper, root] = [join(dir, 'lower'), join(dir, 'upper'), join(dir, 'root.erofs')];
  writeFileSync(lower, await packTar(LOWER));
  writeFileSync(upper, input);
  const limits = { maxImageBytes: 2 ** 22, maxEntries: 1000 };
  await refuses(['ImageInvalid'], () => buildRootImage([lower, upper, lower], root, limits));
}

async function makeLayers(): Promise<readonly Buffer[]> {
  const plain = await packTar([
    ...LOWER,
    { name: 'd/.wh.f' },
    { name: 'd/.wh..wh..opq' },
    { name: '.wh.e' },
    { name: 'null', type: 'character-device', devmajor: 1, devminor: 3 },
    { name: 'fifo', type: 'fifo' },
  ]);
  const odd = await packTar([
    { name: 'a'.repeat(200), content: 'x'.repeat(600), pax: { 'SCHILY.xattr.user.a': 'b', mtime: '1.5' } },
    { name: 'd', content: 'a file in place of a folder' },
    { name: 'h', type: 'link', linkname: 'a'.repeat(200) },
    { name: 'h2', type: 'link', linkname: 'd/l' },
    { name: './../x/./y//z', content: '1', pax: { size: '1', uid: '7', path: 'other', linkpath: 'x' } },
  ]);
  const raw = Buffer.concat([
    rawEntry({ name: '././@LongLink', type: 'L' }, Buffer.from(`${'n'.repeat(300)}\0`)),
    rawHeader({ name: 'short', type: '0' }),
    rawEntry({ name: '././@LongLink', type: 'K' }, Buffer.from(`${'t'.repeat(300)}\0`)),
    rawHeader({ name: 'link', type: '2', linkname: 'short' }),
    rawPax({ 'GNU.sparse.major': '1', comment: 'x' }, 'g'),
    rawHeader({ name: Buffer.from([0xff, 0xfe]), type: '1', linkname: 'short', mode: '\xff\xff\xff\xff' }),
    rawHeader({ name: 'odd', type: 'V', size: 0 }),
    Buffer.alloc(1024),
  ]);
  return [plain, odd, raw, gzipSync(plain), zstd(plain)];
}

async function enterArchive(input: Buffer, dir: string): Promise<void> {
  const path = join(dir, 'archive');
  mkdirSync(dir, { recursive: true });
  writeFileSync(path, input);
  const store = new ImageStore(new HomePaths(dir).images);
  await store.prepare();
  const job = { path, name: null, max_image_size_bytes: 2 ** 22, platform: PLATFORM };
  const change = { store, signal: new AbortController().signal, report: () => {} };
  await refuses(['ImageInvalid', 'Usage', 'ImageUnavailable'], async () => {
    for (const { name, digest } of await loadImages(job, change)) {
      assert.match(digest, /^sha256:[a-f0-9]{64}$/);
      assert.doesNotMatch(name, /\p{Cc}/u);
    }
  });
}

const LAYER = Buffer.from('a layer');

/** Files of an archive of `docker save`, but for `manifest.json`. */
const DOCKER_FILES: readonly (readonly [string, Buffer | string])[] = [
  ['config.json', toBytes({ ...PLATFORM, config: {}, rootfs: { type: 'layers', diff_ids: [digestOf(LAYER)] } })],
  ['a/layer.tar', LAYER],
  ['b/layer.tar', '../a/layer.tar'],
];
const DOCKER_MANIFEST = toBytes([{ Config: 'config.json', RepoTags: ['web:1'], Layers: ['b/layer.tar'] }]);
const LAYOUT_FILES = layoutFiles(makeImage(), 'docker.io/library/web:1');

const makeDocker = (manifest: Buffer) => makeTar([...DOCKER_FILES, ['manifest.json', manifest]]);
const makeLayout = (index: Buffer) =>
  makeTar(LAYOUT_FILES.map(([name, content]) => [name, name === 'index.json' ? index : content]));

/** The document that lists the images of an archive, whose other files are as they should be. */
async function enterArchiveList(input: Buffer, dir: string): Promise<void> {
  await enterArchive(await makeDocker(input), join(dir, 'docker'));
  await enterArchive(await makeLayout(input), join(dir, 'oci'));
}

async function makeArchives(): Promise<readonly Buffer[]> {
  const archives = [await makeDocker(DOCKER_MANIFEST), await makeTar(LAYOUT_FILES)];
  return [...archives, ...archives.map((archive) => gzipSync(archive))];
}

/** A challenge in the first line, and the answer of the token service behind it. */
async function enterToken(input: Buffer): Promise<void> {
  const end = input.indexOf('\n');
  const [challenge, answer] = end === -1 ? [input, input] : [input.subarray(0, end), input.subarray(end + 1)];
  const send = async ({ url }: { url: URL }) => ({ statusCode: 200, headers: {}, body: Readable.from([answer]), url });
  const credentials = async () => ({ type: 'password', username: 'a', password: 'b' }) as const;
  const transport = { send, schemeFor: () => 'https:' } as unknown as Transport;
  await refuses(['ImageUnavailable', 'ImageInvalid'], async () => {
    const header = await createAuthorization(transport, 'library/web', credentials).renew(challenge.toString(), null);
    assert.match(header ?? 'Basic x', /^(Basic|Bearer) [\x21-\x7e]+$/);
  });
}

async function enterDockerConfig(input: Buffer, dir: string): Promise<void> {
  const path = join(dir, 'config.json');
  writeFileSync(path, input);
  const { signal } = new AbortController();
  await refuses(['ConfigInvalid', 'ImageUnavailable'], async () => {
    for (const registry of ['docker.io', 'localhost:5000']) {
      const found = await findCredentials(path, registry, signal, () => {});
      assert.ok(found === null || (found.type === 'password' ? found.username : found.token) !== '');
    }
  });
}

export const IMAGE_DOORS = {
  manifest: { enter: enterManifest },
  layer: { seeds: makeLayers, mend: mendTar, enter: enterLayer },
  archive: { seeds: makeArchives, mend: mendTar, enter: enterArchive },
  'archive-list': {
    seeds: async () => [DOCKER_MANIFEST, LAYOUT_FILES.find(([name]) => name === 'index.json')![1]],
    enter: enterArchiveList,
  },
  token: { enter: enterToken },
  'docker-config': { enter: enterDockerConfig },
} as const satisfies Record<string, Door>;
