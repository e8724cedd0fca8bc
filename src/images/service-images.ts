/** Images for services: found by name, pulled if missing, and built into a root file system that all services share. */
import * as v from 'valibot';
import { isWholeErofs } from '../lib/erofs.ts';
import { errorTextWithPath, MonocoreError, nullIfMissing } from '../lib/errors.ts';
import { readBounded } from '../lib/files.ts';
import { formatImageReference, fullImageName, parseImageReference } from '../protocol/image-reference.ts';
import {
  DEFAULT_IMAGE_SETTINGS,
  ImageDefaultsSchema,
  type ImageEvent,
  ImageIndexSchema,
  type ImageRequest,
  type ImageSettings,
  nameOf,
  type ServiceImage,
} from '../protocol/images.ts';
import { MAX_BYTES } from '../protocol/input.ts';
import type { ImagePaths } from '../state/paths.ts';
import type { Images } from './image-jobs.ts';

/**
 * Images of the services of one home. Main thread: it only reads two documents of a few kilobytes itself, so that
 * starting from a prepared image waits for no job and reads no blob.
 */
export class ServiceImages {
  readonly #images: Images;
  readonly #paths: ImagePaths;
  #settings: ImageSettings = DEFAULT_IMAGE_SETTINGS;

  constructor(images: Images, paths: ImagePaths) {
    this.#images = images;
    this.#paths = paths;
  }

  /** Sets the limits of future pulls and builds. */
  configure(settings: ImageSettings): void {
    this.#settings = settings;
  }

  /**
   * Prepares an image to boot from. The registry is asked only for a name that is not in the store. Services that need
   * the same image share the work; different images are prepared one after another.
   *
   * @throws MonocoreError `Aborted` if the signal fires; `Usage`, `ImageUnavailable`, `ImageInvalid`
   */
  async fetch({ name, digest: wanted, signal, onProgress }: ImageRequest): Promise<ServiceImage> {
    const fullName = fullImageName(name);
    const known = await this.#resolve(name, wanted);
    const ready = known === null ? null : await this.recall(known);
    if (ready) return ready;
    const digest = known ?? (await this.#pull(fullName, signal, onProgress));
    onProgress('preparing image');
    await this.#images.buildRoot(digest, this.#settings.max_image_size_bytes, { signal });
    const built = await this.recall(digest);
    if (built) return built;
    const reason = `${fullName} was removed while it was being prepared; start the service again`;
    throw new MonocoreError('ImageInvalid', reason);
  }

  /**
   * Finds an image whose root file system has been built; null for any other, and if the root or its record is damaged.
   */
  async recall(digest: string): Promise<ServiceImage | null> {
    const root = this.#paths.root(digest);
    const isBuilt = await isWholeErofs(root);
    const record = isBuilt ? readDocument(this.#paths.rootRecord(digest), ImageDefaultsSchema) : null;
    const defaults = (await record?.catch(() => null)) ?? null;
    return defaults && { digest, root, defaults };
  }

  async #pull(name: string, signal: AbortSignal, onProgress: (text: string) => void): Promise<string> {
    onProgress('waiting to be pulled');
    const request = { names: [name], insecure_loopback: false, ...this.#settings, docker_config: null, proxies: null };
    const [stored] = await this.#images.pull(request, { signal, onEvent: describePull(onProgress) });
    return stored!.digest;
  }

  /** Digest of the manifest to use; null if it is not in the store. */
  async #resolve(text: string, wanted: string | null): Promise<string | null> {
    const { manifests = [] } = (await readDocument(this.#paths.index, ImageIndexSchema)) ?? {};
    if (wanted !== null && manifests.some(({ digest }) => digest === wanted)) return wanted;
    const reference = parseImageReference(text);
    const name = formatImageReference(reference);
    const named = manifests.find((entry) => nameOf(entry) === name);
    if (named) return named.digest;
    // A digest identifies the same manifest under any name. The store verified it on arrival.
    return manifests.find(({ digest }) => digest === reference.digest)?.digest ?? null;
  }
}

/** Reads a JSON file of the store; null if it is missing. @throws MonocoreError `ImageInvalid` */
async function readDocument<Schema extends v.GenericSchema>(
  path: string,
  schema: Schema,
): Promise<v.InferOutput<Schema> | null> {
  const text = await readBounded(path, MAX_BYTES.index)
    .catch(nullIfMissing)
    .catch((cause: unknown) => {
      throw new MonocoreError('ImageInvalid', `the image store cannot be read: ${errorTextWithPath(cause)}`, { cause });
    });
  if (text === null) return null;
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), schema), text);
  if (parsed.success) return parsed.output;
  throw new MonocoreError('ImageInvalid', `the image store is damaged: ${path}: ${parsed.issues[0].message}`);
}

/** Reports the progress of one image's pull in a few words, such as `pulling 40 %`, whenever they change. */
function describePull(onProgress: (text: string) => void): (event: ImageEvent) => void {
  const blobs = new Map<string, { readonly sizeBytes: number; doneBytes: number }>();
  let last = '';

  function share(): string {
    let doneBytes = 0;
    let sizeBytes = 0;
    for (const blob of blobs.values()) {
      doneBytes += Math.min(blob.doneBytes, blob.sizeBytes);
      sizeBytes += blob.sizeBytes;
    }
    return sizeBytes === 0 ? 'pulling' : `pulling ${Math.floor((100 * doneBytes) / sizeBytes)} %`;
  }

  function describe(event: ImageEvent): string {
    switch (event.type) {
      case 'waiting':
        return 'waiting for another change of the images';
      case 'image':
        return 'pulling';
      case 'blob':
        blobs.set(event.digest, { sizeBytes: event.size_bytes, doneBytes: event.present ? event.size_bytes : 0 });
        return share();
      case 'bytes':
      case 'kept': {
        const blob = blobs.get(event.digest);
        if (blob) blob.doneBytes = event.type === 'kept' ? blob.sizeBytes : event.done_bytes;
        return share();
      }
      case 'retry':
        return `${share()}, trying again: ${event.reason}`;
      default:
        return last;
    }
  }

  return (event) => {
    const text = describe(event);
    if (text !== last) onProgress(text);
    last = text;
  };
}
