/** Words of the image store: its files, requests over HTTP, jobs of the pool, and the events that both report. */
import type { MessagePort } from 'node:worker_threads';
import * as v from 'valibot';
import type { WireError } from '../lib/errors.ts';
import { isDigest } from './image-reference.ts';

/** Image settings of a home, `[images]` of the config that was started last. */
export const ImageSettingsSchema = v.object({
  /** Registries, `host` or `host:port` in lower case, that are asked over plain HTTP. */
  insecure_registries: v.array(v.string()),
  /** Most bytes of one image: compressed in the store, and again as a root file system. */
  max_image_size_bytes: v.number(),
});
export type ImageSettings = v.InferOutput<typeof ImageSettingsSchema>;

export const DEFAULT_IMAGE_SETTINGS: ImageSettings = Object.freeze({
  insecure_registries: [],
  max_image_size_bytes: 16 * 2 ** 30,
});

/** Defaults of a service from its image, kept beside the root: image-spec, config.md, "Properties", `config`. */
export const ImageDefaultsSchema = v.object({
  entrypoint: v.array(v.string()),
  cmd: v.array(v.string()),
  /** `NAME=value` each. */
  env: v.array(v.string()),
  workdir: v.nullable(v.string()),
  /** `user`, `uid`, `user:group`, …; null is root. */
  user: v.nullable(v.string()),
  stop_signal: v.nullable(v.string()),
});
export type ImageDefaults = v.InferOutput<typeof ImageDefaultsSchema>;

export interface ServiceImage {
  /** Digest of the manifest. */
  readonly digest: string;
  /** Absolute path of the EROFS root, which is never changed. */
  readonly root: string;
  readonly defaults: ImageDefaults;
}

/** Request of a service that is to start. */
export interface ImageRequest {
  /** As people write it. */
  readonly name: string;
  /** Digest of the image that the service ran from before, which is used again while the store has it; null for none. */
  readonly digest: string | null;
  readonly signal: AbortSignal;
  /** Gets the current step, for people. */
  readonly onProgress: (text: string) => void;
}

// The index of the store, `index.json` of an OCI image layout: image-spec, image-index.md and image-layout.md. Jobs write
// it; the main thread looks names up in it.

export const DescriptorSchema = v.object({
  mediaType: v.string(),
  digest: v.pipe(v.string(), v.check(isDigest, 'a digest is sha256: and 64 hexadecimal digits')),
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  platform: v.optional(v.object({ os: v.string(), architecture: v.string(), variant: v.optional(v.string()) })),
  annotations: v.optional(v.record(v.string(), v.string())),
});
export type Descriptor = v.InferOutput<typeof DescriptorSchema>;

export const ImageIndexSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  manifests: v.array(DescriptorSchema),
});
export type ImageIndex = v.InferOutput<typeof ImageIndexSchema>;

/** Image-spec, annotations.md: the name of a reference in an image layout. */
export const NAME_ANNOTATION = 'org.opencontainers.image.ref.name';

/** The full name of an entry; null for an image whose name now stands for another. */
export function nameOf({ annotations }: Descriptor): string | null {
  return annotations?.[NAME_ANNOTATION] ?? null;
}

/** Platform of an image in the words of the OCI image index: `linux`, `arm64`. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
}

// Requests. Bounds are far above what people ask for.

const Text = v.pipe(v.string(), v.nonEmpty(), v.maxLength(4096));
const Texts = v.pipe(v.array(Text), v.maxLength(1000), v.readonly());
const Names = v.pipe(v.array(Text), v.minLength(1), v.maxLength(1000), v.readonly());
const AbsolutePath = v.pipe(Text, v.regex(/^\/[^\0]*$/, 'Not an absolute path'));
const MaxImageSize = v.optional(
  v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  DEFAULT_IMAGE_SETTINGS.max_image_size_bytes,
);

/** Proxies between this host and registries, each by its URL; null for none. */
const ProxySettingsSchema = v.object({
  http: v.nullable(Text),
  /** For HTTPS, through a tunnel. */
  https: v.nullable(Text),
  /** Hosts that need no proxy, as in `NO_PROXY`; may be empty. */
  exempt: v.pipe(v.string(), v.maxLength(65_536)),
});
export type ProxySettings = v.InferOutput<typeof ProxySettingsSchema>;

/** `POST /v1/images/pull`: gets images from their registries, one after the other. */
export const PullRequestSchema = v.object({
  names: Names,
  /** Plain HTTP for registries on this host. */
  insecure_loopback: v.optional(v.boolean(), false),
  /** Registries, `host` or `host:port`, for which plain HTTP is used wherever they are. */
  insecure_registries: v.optional(Texts, []),
  /** Most bytes of an image's blobs together, compressed. */
  max_image_size_bytes: MaxImageSize,
  /** Absolute path of the Docker config with credentials, which may be missing; null for that of the daemon's user. */
  docker_config: v.optional(v.nullable(AbsolutePath), null),
  /** Null for those in the daemon's environment. */
  proxies: v.optional(v.nullable(ProxySettingsSchema), null),
});
export type PullRequest = v.InferOutput<typeof PullRequestSchema>;

/** `POST /v1/images/load`: takes images out of a docker-archive or an OCI archive, gzip-compressed or not. */
export const LoadRequestSchema = v.object({
  /** Absolute path of the archive on the daemon's host. */
  path: AbsolutePath,
  /** Replaces the name of the archive's only image; null keeps the archive's names. */
  name: v.optional(v.nullable(Text), null),
  max_image_size_bytes: MaxImageSize,
});
export type LoadRequest = v.InferOutput<typeof LoadRequestSchema>;

/** `POST /v1/images/remove`. */
export const RemoveImagesRequestSchema = v.object({
  /** Names as people write them, digests of images, or their first 6 or more hexadecimal digits. */
  names: Names,
});
export type RemoveImagesRequest = v.InferOutput<typeof RemoveImagesRequestSchema>;

/** `GET /v1/images`. */
export interface ImagesReply {
  readonly images: readonly ImageSummary[];
}

// Jobs of the pool, and the inputs of those that change the store.

export interface PullInput extends Omit<PullRequest, 'names'> {
  readonly name: string;
  readonly platform: Platform;
  readonly docker_config: string;
  readonly proxies: ProxySettings;
}

export interface LoadInput extends LoadRequest {
  readonly platform: Platform;
}

export interface PruneInput {
  /** Absolute paths of folders with state files, which tell the images that services use; they may be missing. */
  readonly stateDirs: readonly string[];
}

export interface RemoveInput extends PruneInput, RemoveImagesRequest {}

export interface BuildRootInput {
  /** Digest of a manifest in the store. */
  readonly digest: string;
  /** Most bytes of the root, and of the layers decompressed. */
  readonly max_image_size_bytes: number;
}

export type ImageChange =
  | ({ readonly type: 'pull-image' } & PullInput)
  | ({ readonly type: 'load-images' } & LoadInput)
  | ({ readonly type: 'remove-images' } & RemoveInput)
  | ({ readonly type: 'prune-images' } & PruneInput)
  | ({ readonly type: 'build-root-image' } & BuildRootInput);

/** A change posts {@link ImageEvent}s over its port; any message from there cancels it, and it throws `Aborted`. */
export type ImageChangeJob = ImageChange & { readonly imagesDir: string; readonly port: MessagePort };
export type ImageJob = ImageChangeJob | { readonly type: 'list-images'; readonly imagesDir: string };

export interface ImageJobResults {
  readonly 'pull-image': StoredImage;
  readonly 'load-images': readonly StoredImage[];
  readonly 'remove-images': RemovedImages;
  readonly 'prune-images': RemovedImages;
  readonly 'build-root-image': null;
  readonly 'list-images': readonly ImageSummary[];
}

export interface StoredImage {
  /** In full, `docker.io/library/alpine:latest`. */
  readonly name: string;
  /** Digest of the manifest for this platform. */
  readonly digest: string;
  /** True when the store already had every blob of it. */
  readonly unchanged: boolean;
}

/** A row of `monocore images`; its JSON is for programs. */
export interface ImageSummary {
  /** Null for an image whose name now stands for another. */
  readonly name: string | null;
  /** Digest of the manifest. */
  readonly digest: string;
  /** `linux/amd64`; null where the image does not say. */
  readonly platform: string | null;
  /** Compressed bytes of its blobs, including those it shares with other images. */
  readonly size_bytes: number;
  readonly layers: number;
  /** Bytes on disk of its root; null before the first service was started from it. */
  readonly root_bytes: number | null;
  /** Ports that the image declares, `80/tcp`; none is forwarded for that. */
  readonly exposed_ports: readonly string[];
  /** Time of the build, RFC 3339, as the image says; null where it does not say. */
  readonly created_at: string | null;
  /** Time at which it came into the store, RFC 3339. */
  readonly pulled_at: string | null;
}

export interface RemovedImages {
  /** Names, or digests of images that had none. */
  readonly removed: readonly string[];
  readonly freed_bytes: number;
}

export type ImageEvent =
  /** The change waits for another one, perhaps of another process. */
  | { readonly type: 'waiting' }
  /** The pull of an image begins; its blobs follow. */
  | { readonly type: 'image'; readonly name: string }
  /** A blob of the image, to be downloaded unless `present`. */
  | { readonly type: 'blob'; readonly digest: string; readonly size_bytes: number; readonly present: boolean }
  /** Bytes of a blob on disk, at most ten times a second. Falls when a download starts over. */
  | { readonly type: 'bytes'; readonly digest: string; readonly done_bytes: number }
  /** A request failed and is sent again after `delay_ms`. */
  | { readonly type: 'retry'; readonly what: string; readonly reason: string; readonly delay_ms: number }
  /** A blob is complete, verified and in the store. */
  | { readonly type: 'kept'; readonly digest: string }
  | { readonly type: 'notice'; readonly text: string }
  | { readonly type: 'stored'; readonly image: StoredImage };

/** Never throws. */
export type ReportImageEvent = (event: ImageEvent) => void;

/** A line of the answer to a pull or load: events, then `done` or `error`. An answer without either was cut off. */
export type ImageReply =
  | ImageEvent
  | { readonly type: 'done'; readonly images: readonly StoredImage[] }
  | { readonly type: 'error'; readonly error: WireError };
