/** Jobs on the image store, and what they report while they run. */
import type { MessagePort } from 'node:worker_threads';
import * as v from 'valibot';
import { isDigest } from './image-reference.ts';

/** What an image says of the program in it, its root's record: image-spec, config.md, "Properties", `config`. */
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

/** An image that a service can boot from. */
export interface ServiceImage {
  /** Of its manifest. */
  readonly digest: string;
  /** Absolute path of the EROFS image with its root, which nobody changes. */
  readonly root: string;
  readonly defaults: ImageDefaults;
}

/** What an image runs on, in the words of the OCI image index: `linux`, `arm64`, `v8`. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | null;
}

interface StoreJob {
  /** Absolute path of the store, see `ImagePaths`. */
  readonly imagesDir: string;
}

/**
 * A job that takes a while. Over `port` it posts {@link ImageEvent}s; any message to it calls the job off, which then
 * throws `Aborted`.
 */
interface LongStoreJob extends StoreJob {
  readonly port: MessagePort;
}

/** What a new image may be. */
interface IntakeLimits {
  readonly platform: Platform;
  /** Most bytes of an image's blobs together, as they are kept: compressed. */
  readonly maxImageBytes: number;
}

/** Proxies between this host and registries, as the environment names them: each by its URL, null for none. */
export interface ProxySettings {
  /** For plain HTTP. */
  readonly http: string | null;
  /** For HTTPS, through a tunnel. */
  readonly https: string | null;
  /** Hosts that are asked without one, as `NO_PROXY` lists them; may be empty. */
  readonly exempt: string;
}

/** Gets images from their registries, one after the other. */
export interface PullImagesJob extends LongStoreJob, IntakeLimits {
  readonly type: 'pull-images';
  /** As people write them. */
  readonly names: readonly string[];
  /** Plain HTTP for registries on this host. */
  readonly insecureLoopback: boolean;
  /** Registries, `host` or `host:port`, for which plain HTTP is used wherever they are. */
  readonly insecureRegistries: readonly string[];
  /** Docker's config file with credentials; it may be missing. */
  readonly dockerConfigPath: string;
  readonly proxies: ProxySettings;
}

/** Takes images out of a docker-archive or an OCI archive, gzip-compressed or not. */
export interface LoadImagesJob extends LongStoreJob, IntakeLimits {
  readonly type: 'load-images';
  /** Absolute path of the archive. */
  readonly path: string;
  /** Name for the only image of the archive, in the place of those that it says; null for those. */
  readonly name: string | null;
}

/** Which images stay whatever is asked: those that services use, by the state files that are found under the lock. */
interface UseGuard {
  /** Absolute paths of the folders that have state files; they may be missing. */
  readonly stateDirs: readonly string[];
}

/** Removes names, and with the last name of an image the blobs that no other image has. */
export interface RemoveImagesJob extends LongStoreJob, UseGuard {
  readonly type: 'remove-images';
  /** Names as people write them, or digests of images, or their first 6 or more hexadecimal digits. */
  readonly names: readonly string[];
}

/** Removes images without a name, blobs of no image, roots of no service, and what broken downloads left. */
export interface PruneImagesJob extends LongStoreJob, UseGuard {
  readonly type: 'prune-images';
}

/**
 * Makes the root file system of an image, and what its program has to know, unless they are there: `images/roots` in
 * `ImagePaths`.
 */
export interface BuildRootImageJob extends LongStoreJob {
  readonly type: 'build-root-image';
  /** Of a manifest in the store. */
  readonly digest: string;
  /** Most bytes of the root, and of the layers unpacked. */
  readonly maxImageBytes: number;
}

/** Lists the images. */
export interface ListImagesJob extends StoreJob {
  readonly type: 'list-images';
}

export type ImageJob =
  | PullImagesJob
  | LoadImagesJob
  | RemoveImagesJob
  | PruneImagesJob
  | BuildRootImageJob
  | ListImagesJob;

/** An image that is in the store now. */
export interface StoredImage {
  /** In full, `docker.io/library/alpine:latest`. */
  readonly name: string;
  /** Of the manifest for this platform. */
  readonly digest: string;
  /** It was there already, every blob of it. */
  readonly unchanged: boolean;
}

/** A row of `monocore images`; its JSON is for programs. */
export interface ImageSummary {
  /** Null for an image whose name was taken by another one. */
  readonly name: string | null;
  /** Of the manifest. */
  readonly digest: string;
  /** `linux/amd64`; null where the image does not say. */
  readonly platform: string | null;
  /** Compressed bytes of its blobs, those that it shares included. */
  readonly size_bytes: number;
  readonly layers: number;
  /** What its root takes on the disk besides; null before the first service was started from it. */
  readonly root_bytes: number | null;
  /** Ports that its maker says it listens on, `80/tcp`; nothing is forwarded for that. */
  readonly exposed_ports: readonly string[];
  /** When it was built, RFC 3339, as its maker says; null where it does not say. */
  readonly created_at: string | null;
  /** When it came into the store, RFC 3339. */
  readonly pulled_at: string | null;
}

/** What {@link RemoveImagesJob} and {@link PruneImagesJob} did. */
export interface RemovedImages {
  /** Names, or digests of images that had none. */
  readonly removed: readonly string[];
  readonly freedBytes: number;
}

/** The results by type of job. */
export interface ImageJobResults {
  readonly 'pull-images': readonly StoredImage[];
  readonly 'load-images': readonly StoredImage[];
  readonly 'remove-images': RemovedImages;
  readonly 'prune-images': RemovedImages;
  readonly 'build-root-image': null;
  readonly 'list-images': readonly ImageSummary[];
}

/** What a job says while it runs. */
export type ImageEvent =
  /** Another process changes the store, and the job waits for it. */
  | { readonly type: 'waiting' }
  /** An image's turn has come; its blobs follow. */
  | { readonly type: 'image'; readonly name: string }
  /** A blob is to be got. */
  | { readonly type: 'blob'; readonly digest: string; readonly sizeBytes: number; readonly present: boolean }
  /** Bytes of it that are on disk, at most a few times a second. It falls when a download starts anew. */
  | { readonly type: 'bytes'; readonly digest: string; readonly doneBytes: number }
  /** A request failed and is tried again after a while. */
  | { readonly type: 'retry'; readonly what: string; readonly reason: string; readonly delayMs: number }
  /** The blob is whole, verified and kept. */
  | { readonly type: 'kept'; readonly digest: string }
  | { readonly type: 'notice'; readonly text: string }
  | { readonly type: 'stored'; readonly image: StoredImage };

const PlatformSchema = v.object({
  os: v.string(),
  architecture: v.string(),
  variant: v.optional(v.string()),
});

export const DescriptorSchema = v.object({
  mediaType: v.string(),
  digest: v.pipe(v.string(), v.check(isDigest, 'a digest is sha256: and 64 hexadecimal digits')),
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  platform: v.optional(PlatformSchema),
  annotations: v.optional(v.record(v.string(), v.string())),
});

export const ImageIndexSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  manifests: v.array(DescriptorSchema),
});

export type Descriptor = v.InferOutput<typeof DescriptorSchema>;
export type ImageIndex = v.InferOutput<typeof ImageIndexSchema>;

/** Image-spec, annotations.md: the name of a reference in an image layout. */
export const NAME_ANNOTATION = 'org.opencontainers.image.ref.name';

/** The name of an entry in full, or null for an image whose name was taken by another. */
export function nameOf({ annotations }: Descriptor): string | null {
  return annotations?.[NAME_ANNOTATION] ?? null;
}

/** Settings of a whole home. They are those of the config that was started last. */
export const ImageSettingsSchema = v.object({
  /** Registries, `host` or `host:port` in lower case, that are asked by plain HTTP. */
  insecure_registries: v.array(v.string()),
  /** Most bytes of one image: of its blobs as they are kept, and again of the root file system that is made of them. */
  max_image_size_bytes: v.number(),
});
export type ImageSettings = v.InferOutput<typeof ImageSettingsSchema>;

export const DEFAULT_IMAGE_SETTINGS: ImageSettings = Object.freeze({
  insecure_registries: [],
  max_image_size_bytes: 16 * 2 ** 30,
});
