/** Images made for tests: what is in their layers does not matter to the store. */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { packTar } from './layers.ts';

/** Documents and blobs of an image, by digest. */
export interface TestImage {
  /** Of the manifest or index under which it is known. */
  readonly digest: string;
  readonly manifests: ReadonlyMap<string, { readonly type: string; readonly bytes: Buffer }>;
  readonly blobs: ReadonlyMap<string, Buffer>;
  readonly layers: readonly string[];
  readonly config: string;
}

type MediaFamily = 'oci' | 'docker';

const TYPES = {
  oci: {
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    index: 'application/vnd.oci.image.index.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  },
  docker: {
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  },
} as const;

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Go's name of this processor. */
export const ARCHITECTURE = process.arch === 'x64' ? 'amd64' : process.arch;

/** Parts of an image. */
export interface ImageSettings {
  readonly family?: MediaFamily;
  readonly architecture?: string;
  /** Contents of its layers. */
  readonly layers?: readonly Buffer[];
  /** Execution parameters, named as in image-spec, config.md. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Changes the manifest before it gets its digest. */
  readonly spoil?: (manifest: { mediaType: string; config: Entry; layers: Entry[] }) => object;
}

interface Entry {
  mediaType: string;
  digest: string;
  size: number;
}

/** An image of one platform. */
export function makeImage(settings: ImageSettings = {}): TestImage {
  const {
    family = 'oci',
    architecture = ARCHITECTURE,
    layers = [Buffer.from('a layer')],
    config: program,
    spoil,
  } = settings;
  const types = TYPES[family];
  const packed = layers.map((layer) => gzipSync(layer));
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture,
      config: program,
      rootfs: { type: 'layers', diff_ids: layers.map(digestOf) },
    }),
  );
  const describe = (mediaType: string, bytes: Buffer): Entry => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: describe(types.config, config),
    layers: packed.map((bytes) => describe(types.layer, bytes)),
  };
  const bytes = Buffer.from(JSON.stringify(spoil ? spoil(manifest) : manifest));
  const digest = digestOf(bytes);
  return {
    digest,
    manifests: new Map([[digest, { type: types.manifest, bytes }]]),
    blobs: new Map([config, ...packed].map((blob) => [digestOf(blob), blob])),
    layers: packed.map(digestOf),
    config: digestOf(config),
  };
}

/** An index of images for several platforms. */
export function makeIndex(images: Readonly<Record<string, TestImage>>, family: MediaFamily = 'oci'): TestImage {
  const [first] = Object.values(images);
  const entries = Object.entries(images).map(([platform, image]) => {
    const [os, architecture, variant] = platform.split('/');
    const { type, bytes } = image.manifests.get(image.digest)!;
    const named = { os, architecture, ...(variant === undefined ? {} : { variant }) };
    return { mediaType: type, digest: image.digest, size: bytes.length, platform: named };
  });
  const type = TYPES[family].index;
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: type, manifests: entries }));
  const digest = digestOf(bytes);
  return {
    ...first!,
    digest,
    manifests: new Map([[digest, { type, bytes }], ...Object.values(images).flatMap((image) => [...image.manifests])]),
    blobs: new Map(Object.values(images).flatMap((image) => [...image.blobs])),
  };
}

/** A tar of files, or links where the content is a text. */
export async function makeTar(files: readonly (readonly [string, Buffer | string])[]): Promise<Buffer> {
  return packTar(
    files.map(([name, content]) =>
      typeof content === 'string' ? { name, type: 'symlink', linkname: content } : { name, content },
    ),
  );
}

/** Files of an OCI archive of one image. */
export function layoutFiles(image: TestImage, name: string | null): [string, Buffer][] {
  const { type, bytes } = image.manifests.get(image.digest)!;
  const annotations = name === null ? {} : { 'org.opencontainers.image.ref.name': name };
  const entry = { mediaType: type, digest: image.digest, size: bytes.length, annotations };
  const blobs = [...image.blobs, ...[...image.manifests].map(([digest, { bytes }]) => [digest, bytes] as const)];
  return [
    ['oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')],
    ['index.json', Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [entry] }))],
    ...blobs.map(([digest, content]): [string, Buffer] => [`blobs/${digest.replace(':', '/')}`, content]),
  ];
}
