/**
 * Manifests, indexes and configs of images: OCI image-spec, manifest.md, image-index.md and config.md, and Docker's
 * image manifest version 2, schema 2, which differs only in its media types. They come from outside and are validated
 * here.
 */
import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { formatSize } from '../../src/lib/units.ts';
import {
  type Descriptor,
  DescriptorSchema,
  type ImageDefaults,
  type ImageIndex,
  ImageIndexSchema,
  type Platform,
} from '../../src/protocol/images.ts';
import { invalidImage } from './limits.ts';

/** Largest manifest or index that registries must accept, see distribution-spec, "Pushing Manifests". */
export const MAX_MANIFEST_BYTES = 4 * 2 ** 20;
/** Largest config. The specification sets no limit; real ones have a few kilobytes. */
export const MAX_CONFIG_BYTES = 16 * 2 ** 20;
/**
 * Maximum size of the program's defaults in a config, as JSON. The main thread reads them at each start, and one
 * argument or variable cannot exceed 128 KiB anyway: MAX_ARG_STRLEN, execve(2).
 */
const MAX_PROGRAM_BYTES = 256 * 1024;
/** Maximum nesting of indexes above a manifest. */
const MAX_INDEX_DEPTH = 3;
/** Maximum number of layers. Stacking file systems are limited to 128 or 500, and each layer costs a request. */
const MAX_LAYERS = 1000;

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';

/** `Accept` header of a manifest request. */
export const MANIFEST_TYPES = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];

/**
 * Media types of layers: OCI image spec, layer.md, and Docker's image manifest v2 schema 2. The compression is detected
 * by the first bytes of a layer, because some tools state gzip for uncompressed archives.
 */
const LAYER_MEDIA_TYPE =
  /^application\/vnd\.(oci\.image\.layer\.(nondistributable\.)?v1\.tar(\+gzip|\+zstd)?|docker\.image\.rootfs\.(foreign\.)?diff\.tar(\.gzip|\.zstd)?)$/;

/** Document that may state its type. */
const TypedSchema = v.object({ mediaType: v.optional(v.string()) });

const ManifestSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  config: DescriptorSchema,
  layers: v.pipe(v.array(DescriptorSchema), v.maxLength(MAX_LAYERS)),
});

/** Text without NUL, which arguments and variables cannot contain, see execve(2). */
const Text = v.pipe(
  v.string(),
  v.check((text) => !text.includes('\0'), 'has a zero byte'),
);
const Texts = v.nullish(v.array(Text));

const ConfigSchema = v.object({
  os: v.optional(v.string(), ''),
  architecture: v.optional(v.string(), ''),
  variant: v.optional(v.string()),
  created: v.nullish(v.string()),
  rootfs: v.object({ type: v.literal('layers'), diff_ids: v.array(v.string()) }),
  /** Any field may be missing or null. */
  config: v.nullish(
    v.pipe(
      v.object({
        Entrypoint: Texts,
        Cmd: Texts,
        Env: Texts,
        WorkingDir: v.nullish(Text),
        User: v.nullish(Text),
        StopSignal: v.nullish(Text),
        ExposedPorts: v.nullish(v.record(v.string(), v.unknown())),
      }),
      v.check(
        ({ ExposedPorts: _, ...program }) => Buffer.byteLength(JSON.stringify(program)) <= MAX_PROGRAM_BYTES,
        `command, arguments and variables take more than ${formatSize(MAX_PROGRAM_BYTES)}`,
      ),
    ),
  ),
});

export type { Descriptor, ImageIndex } from '../../src/protocol/images.ts';
export type ImageManifest = v.InferOutput<typeof ManifestSchema>;
export type ImageConfig = v.InferOutput<typeof ConfigSchema>;

export function digestOf(bytes: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/**
 * Parses a document that is either a manifest or an index.
 *
 * @param mediaType stated by the registry or descriptor; one in the document takes precedence
 * @param what names the document in messages
 * @throws MonocoreError `ImageInvalid` for anything else, such as artifacts that are not images
 */
export function parseManifest(bytes: Buffer, mediaType: string, what: string): ImageManifest | ImageIndex {
  const { mediaType: own } = parseDocument(TypedSchema, bytes, what);
  const type = own ?? mediaType.split(';')[0]!.trim();
  if (type === OCI_INDEX || type === DOCKER_LIST) return parseDocument(ImageIndexSchema, bytes, what);
  if (type !== OCI_MANIFEST && type !== DOCKER_MANIFEST) {
    throw invalidImage(`${what} has the unknown type ${JSON.stringify(type)}`);
  }
  const manifest = parseDocument(ManifestSchema, bytes, what);
  const isConfig = [OCI_CONFIG, DOCKER_CONFIG].includes(manifest.config.mediaType);
  const alien = isConfig ? manifest.layers.find((layer) => !LAYER_MEDIA_TYPE.test(layer.mediaType)) : manifest.config;
  if (alien) throw invalidImage(`${what} is not a container image: it has a ${JSON.stringify(alien.mediaType)}`);
  return { ...manifest, mediaType: type };
}

/**
 * Parses a config.
 *
 * @throws MonocoreError `ImageInvalid` if it is another kind of document or has another number of layers
 */
export function parseConfig(bytes: Buffer, layers: number, what: string): ImageConfig {
  const config = parseDocument(ConfigSchema, bytes, what);
  const listed = config.rootfs.diff_ids.length;
  if (listed === layers) return config;
  throw invalidImage(`the config of ${what} lists ${listed} layers, its manifest ${layers}`);
}

/** Defaults of the program in a config; an empty text counts as missing. */
export function defaultsOf({ config }: ImageConfig): ImageDefaults {
  return {
    entrypoint: config?.Entrypoint ?? [],
    cmd: config?.Cmd ?? [],
    env: config?.Env ?? [],
    workdir: config?.WorkingDir || null,
    user: config?.User || null,
    stop_signal: config?.StopSignal || null,
  };
}

/** Config and layers of an image, without duplicates. */
export function blobsOf({ config, layers }: ImageManifest): Descriptor[] {
  return [...new Map([config, ...layers].map((blob) => [blob.digest, blob])).values()];
}

/**
 * Checks sizes before anything is downloaded; a download never exceeds the size in its descriptor.
 *
 * @throws MonocoreError `ImageInvalid` for a config above 16 MiB, or if all blobs together exceed `maxImageBytes`
 */
export function checkSizes(manifest: ImageManifest, maxImageBytes: number, name: string): void {
  if (manifest.config.size > MAX_CONFIG_BYTES) {
    throw invalidImage(`the config of ${name} is larger than ${formatSize(MAX_CONFIG_BYTES)}`);
  }
  const totalBytes = blobsOf(manifest).reduce((sum, { size }) => sum + size, 0);
  if (totalBytes <= maxImageBytes) return;
  throw invalidImage(`${name} has ${formatSize(totalBytes)}, the limit is ${formatSize(maxImageBytes)}`, {
    details: { hint: '--max-image-size allows more, for services max_image_size of [images]' },
  });
}

/** Parses a JSON document. @throws MonocoreError `ImageInvalid` if it does not match the schema */
export function parseDocument<Schema extends v.GenericSchema>(
  schema: Schema,
  document: Buffer | string,
  what: string,
): v.InferOutput<Schema> {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(undefined, 'not JSON'), schema), document.toString());
  if (parsed.success) return parsed.output;
  const [{ message }] = parsed.issues;
  const at = v.getDotPath(parsed.issues[0]);
  throw invalidImage(`${what} is malformed${at ? ` at ${at}` : ''}: ${message}`);
}

/**
 * Variants that a processor can run, best first, in the order of containerd's `platforms` package: arm64 means v8 by
 * default, and a 32-bit ARM version 7 also runs programs for versions 6 and 5.
 */
const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  arm64: ['v8', ''],
  arm: ['v7', '', 'v6', 'v5'],
  amd64: ['', 'v1'],
};

/**
 * Finds the entry of an index for a platform.
 *
 * @throws MonocoreError `ImageInvalid` if there is none; the message lists the platforms of the index
 */
export function choosePlatform(manifests: readonly Descriptor[], wanted: Platform, what: string): Descriptor {
  const fitting = manifests.filter(
    ({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture,
  );
  for (const variant of VARIANTS[wanted.architecture] ?? ['']) {
    const found = fitting.find(({ platform }) => (platform?.variant ?? '') === variant);
    if (found) return found;
  }
  const known = manifests.map(({ platform }) => platform).filter((platform) => platform !== undefined);
  // BuildKit stores attestations as entries for the platform unknown/unknown.
  const names = [...new Set(known.filter(({ os }) => os !== 'unknown').map(formatPlatform))].join(', ');
  throw invalidImage(
    `${what} is not available for ${formatPlatform(wanted)}, only for ${names || 'platforms that it does not name'}`,
  );
}

/** Manifest or index as received, verified if its digest was known. */
export interface ReceivedManifest {
  readonly bytes: Buffer;
  readonly digest: string;
  readonly mediaType: string;
}

/** Manifest as received, or created for an archive that has none. */
export interface ResolvedManifest extends ReceivedManifest {
  readonly manifest: ImageManifest;
}

/**
 * Follows indexes down to the manifest for a platform.
 *
 * @param read fetches an entry of an index
 * @throws MonocoreError `ImageInvalid` if a document is malformed or not for the platform; the error of `read`
 */
export async function resolveManifest(
  first: ReceivedManifest,
  read: (entry: Descriptor) => Promise<ReceivedManifest>,
  platform: Platform,
  what: string,
): Promise<ResolvedManifest> {
  let received = first;
  for (let depth = 0; ; depth += 1) {
    const document = parseManifest(received.bytes, received.mediaType, what);
    if ('config' in document) {
      return { ...received, mediaType: document.mediaType ?? received.mediaType, manifest: document };
    }
    if (depth === MAX_INDEX_DEPTH) throw invalidImage(`${what} nests indexes more than ${MAX_INDEX_DEPTH} deep`);
    received = await read(choosePlatform(document.manifests, platform, what));
  }
}

/** Checks the platform of an image. @throws MonocoreError `ImageInvalid` if its config states another platform */
export function checkPlatform({ os, architecture }: ImageConfig, wanted: Platform, what: string): void {
  if ((os || wanted.os) === wanted.os && (architecture || wanted.architecture) === wanted.architecture) return;
  throw invalidImage(`${what} is for ${formatPlatform({ os, architecture })}, not for ${formatPlatform(wanted)}`);
}

/** Formats a platform, such as `linux/arm64/v8`. */
export function formatPlatform(platform: Platform & { readonly variant?: string | undefined }): string {
  return [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/');
}
