/** Protocol of the image store: its files, HTTP requests, jobs of the pool, and the events of both. */
import type { MessagePort } from 'node:worker_threads';
import * as v from 'valibot';
import type { WireError } from '../lib/errors.ts';
import { isDigest } from './image-reference.ts';

/** Image settings of a home: `[images]` of a config, or what the configs of all its projects say together. */
export const ImageSettingsSchema = v.object({
  /** Registries, `host` or `host:port` in lower case, that are contacted over plain HTTP. */
  insecure_registries: v.array(v.string()),
  /** Maximum bytes of one image: compressed in the store, and again as a root file system. */
  max_image_size_bytes: v.number(),
});
export type ImageSettings = v.InferOutput<typeof ImageSettingsSchema>;

export const DEFAULT_IMAGE_SETTINGS: ImageSettings = Object.freeze({
  insecure_registries: [],
  max_image_size_bytes: 16 * 2 ** 30,
});

/**
 * Defaults that an image sets for its services, stored beside its root: image-spec, config.md, "Properties", `config`.
 */
export const ImageDefaultsSchema = v.object({
  entrypoint: v.array(v.string()),
  cmd: v.array(v.string()),
  /** Entries of the form `NAME=value`. */
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
  /** Absolute path of the EROFS root file system, which never changes. */
  readonly root: string;
  readonly defaults: ImageDefaults;
}

/** Request for the image of a service that is about to start. */
export interface ImageRequest {
  /** Name as the user wrote it. */
  readonly name: string;
  /**
   * Digest of the image that the service used before, which is used again if it is still in the store; null if there is
   * none.
   */
  readonly digest: string | null;
  readonly signal: AbortSignal;
  /** Receives the current step, for people. */
  readonly onProgress: (text: string) => void;
}

// The index of the store, `index.json` of an OCI image layout: image-spec, image-index.md and image-layout.md. Jobs
// write it; the main thread looks up names in it.

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

/** Full name of an entry; null for an image whose name now refers to another one. */
export function nameOf({ annotations }: Descriptor): string | null {
  return annotations?.[NAME_ANNOTATION] ?? null;
}

/** Platform of an image in terms of the OCI image index: `linux`, `arm64`. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
}

// Requests. The limits are far above what users need.

const Text = v.pipe(v.string(), v.nonEmpty(), v.maxLength(4096));
const Texts = v.pipe(v.array(Text), v.maxLength(1000), v.readonly());
const Names = v.pipe(v.array(Text), v.minLength(1), v.maxLength(1000), v.readonly());
const AbsolutePath = v.pipe(Text, v.regex(/^\/[^\0]*$/, 'Not an absolute path'));
const MaxImageSize = v.optional(
  v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  DEFAULT_IMAGE_SETTINGS.max_image_size_bytes,
);

/** Proxies between this host and registries, each as a URL; null if there is none. */
const ProxySettingsSchema = v.object({
  http: v.nullable(Text),
  /** For HTTPS, through a CONNECT tunnel. */
  https: v.nullable(Text),
  /** Hosts that are contacted without a proxy, as in `NO_PROXY`; may be empty. */
  exempt: v.pipe(v.string(), v.maxLength(65_536)),
});
export type ProxySettings = v.InferOutput<typeof ProxySettingsSchema>;

/** `POST /v1/images/pull`: pulls images from their registries, one after another. */
export const PullRequestSchema = v.object({
  names: Names,
  /** Allows plain HTTP for registries on this host. */
  insecure_loopback: v.optional(v.boolean(), false),
  /** Registries, `host` or `host:port`, for which plain HTTP is allowed wherever they are. */
  insecure_registries: v.optional(Texts, []),
  /** Maximum total of an image's compressed blobs, in bytes. */
  max_image_size_bytes: MaxImageSize,
  /** Absolute path of the Docker config with credentials, which need not exist; null for that of the daemon's user. */
  docker_config: v.optional(v.nullable(AbsolutePath), null),
  /** Null for the proxies in the daemon's environment. */
  proxies: v.optional(v.nullable(ProxySettingsSchema), null),
});
export type PullRequest = v.InferOutput<typeof PullRequestSchema>;

/** `POST /v1/images/load`: imports images from a docker-archive or an OCI archive, gzip-compressed or not. */
export const LoadRequestSchema = v.object({
  /** Absolute path of the archive on the daemon's host. */
  path: AbsolutePath,
  /** Replaces the name of the archive's only image; null keeps the names in the archive. */
  name: v.optional(v.nullable(Text), null),
  max_image_size_bytes: MaxImageSize,
});
export type LoadRequest = v.InferOutput<typeof LoadRequestSchema>;

/** `POST /v1/images/remove`. */
export const RemoveImagesRequestSchema = v.object({
  /** Names as users write them, digests of images, or at least the first 6 hexadecimal digits of one. */
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
  /**
   * Absolute paths of folders with state files, which list the images that services use; the folders need not exist.
   */
  readonly stateDirs: readonly string[];
}

export interface RemoveInput extends PruneInput, RemoveImagesRequest {}

export interface BuildRootInput {
  /** Digest of a manifest in the store. */
  readonly digest: string;
  /** Maximum bytes of the root file system, and of the decompressed layers. */
  readonly max_image_size_bytes: number;
}

export type ImageChange =
  | ({ readonly type: 'pull-image' } & PullInput)
  | ({ readonly type: 'load-images' } & LoadInput)
  | ({ readonly type: 'remove-images' } & RemoveInput)
  | ({ readonly type: 'prune-images' } & PruneInput)
  | ({ readonly type: 'build-root-image' } & BuildRootInput);

/**
 * Job that changes the store. It posts {@link ImageEvent}s to its port. Any message from the other side cancels it; it
 * then throws `Aborted`.
 */
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
  /** Full name, `docker.io/library/alpine:latest`. */
  readonly name: string;
  /** Digest of the manifest for this platform. */
  readonly digest: string;
  /** True if the store already had all its blobs. */
  readonly unchanged: boolean;
}

/** Row of `monocore images`, which also appears as JSON for programs. */
export interface ImageSummary {
  /** Null for an image whose name now refers to another one. */
  readonly name: string | null;
  /** Digest of the manifest. */
  readonly digest: string;
  /** `linux/amd64`; null if the image does not say. */
  readonly platform: string | null;
  /** Compressed bytes of its blobs, including blobs shared with other images. */
  readonly size_bytes: number;
  readonly layers: number;
  /** Bytes of its root file system on disk; null until a service has been started from it. */
  readonly root_bytes: number | null;
  /** Ports that the image declares, `80/tcp`; this does not forward them. */
  readonly exposed_ports: readonly string[];
  /** RFC 3339 time of the build according to the image; null if it does not say. */
  readonly created_at: string | null;
  /** RFC 3339 time when it was added to the store. */
  readonly pulled_at: string | null;
}

export interface RemovedImages {
  /** Names, or the digests of images without a name. */
  readonly removed: readonly string[];
  readonly freed_bytes: number;
}

export type ImageEvent =
  /** The change is waiting for another one, perhaps in another process. */
  | { readonly type: 'waiting' }
  /** The pull of an image begins; its blobs follow. */
  | { readonly type: 'image'; readonly name: string }
  /** Blob of the image; it is downloaded unless `present`. */
  | { readonly type: 'blob'; readonly digest: string; readonly size_bytes: number; readonly present: boolean }
  /** Bytes of a blob on disk, at most ten times a second. The number falls if a download starts over. */
  | { readonly type: 'bytes'; readonly digest: string; readonly done_bytes: number }
  /** A request failed and will be retried after `delay_ms`. */
  | { readonly type: 'retry'; readonly what: string; readonly reason: string; readonly delay_ms: number }
  /** A blob is complete, verified and in the store. */
  | { readonly type: 'kept'; readonly digest: string }
  | { readonly type: 'notice'; readonly text: string }
  | { readonly type: 'stored'; readonly image: StoredImage };

/** Receives events. Never throws. */
export type ReportImageEvent = (event: ImageEvent) => void;

/** Line of the answer to a pull or load: events, then `done` or `error`. An answer without either was cut off. */
export type ImageReply =
  | ImageEvent
  | { readonly type: 'done'; readonly images: readonly StoredImage[] }
  | { readonly type: 'error'; readonly error: WireError };
