/** Images as services need them: found by name, pulled where they are missing, made into a root once for all services. */
import { readFile, stat } from 'node:fs/promises';
import * as v from 'valibot';
import { errorCode, errorText, MonocoreError } from '../lib/errors.ts';
import { formatImageReference, type ImageReference, parseImageReference } from '../protocol/image-reference.ts';
import {
  DEFAULT_IMAGE_SETTINGS,
  type ImageDefaults,
  ImageDefaultsSchema,
  type ImageIndex,
  ImageIndexSchema,
  type ImageSettings,
  nameOf,
  type ServiceImage,
} from '../protocol/images.ts';
import type { HomePaths, ImagePaths } from '../state/paths.ts';
import type { JobPool } from '../threads/job-pool.ts';
import { Images } from './image-jobs.ts';
import { PullProgress } from './pull-progress.ts';
import { type DoTask, SharedTasks } from './shared-tasks.ts';

/** Which image, and how its getting is followed and called off. */
export interface ImageRequest {
  /** As people write it. */
  readonly name: string;
  /** Of the image that the service ran from before, which is taken again where it is still there; null for none. */
  readonly digest: string | null;
  readonly signal: AbortSignal;
  /** What is being done, for people. */
  readonly onProgress: (text: string) => void;
}

/**
 * Images of the services of one home. Main thread: what it reads by itself are two documents of a few kilobytes, so that
 * a start from an image that is there waits for no job and reads no blob.
 */
export class ServiceImages {
  readonly #images: Images;
  readonly #paths: ImagePaths;
  readonly #tasks = new SharedTasks<ServiceImage>();
  #settings: ImageSettings = DEFAULT_IMAGE_SETTINGS;

  constructor(pool: JobPool, paths: HomePaths) {
    this.#images = new Images(pool, paths);
    this.#paths = paths.images;
  }

  /** What is pulled and made from now on is within these. */
  configure(settings: ImageSettings): void {
    this.#settings = settings;
  }

  /**
   * An image that is ready to boot from. The registry is asked only for a name that the store does not have. Services that
   * want the same image share the work; different ones take the store's lock one after the other.
   *
   * @throws MonocoreError `Aborted` when the signal fires; `Usage`, `ImageUnavailable`, `ImageInvalid`
   */
  async fetch({ name, digest, ...waiter }: ImageRequest): Promise<ServiceImage> {
    const reference = parseImageReference(name);
    const known = await this.#resolve(reference, digest);
    const ready = known === null ? null : await this.recall(known);
    if (ready) return ready;
    const make: DoTask<ServiceImage> = (signal, tell) => this.#make(reference, known, signal, tell);
    return this.#tasks.join(known ?? formatImageReference(reference), waiter, make);
  }

  /**
   * An image whose root was made; null where it was not.
   *
   * @param digest of its manifest
   * @throws MonocoreError `ImageInvalid` for a record that is damaged
   */
  async recall(digest: string): Promise<ServiceImage | null> {
    const root = this.#paths.root(digest);
    const defaults = (await isFile(root)) ? await this.#readRecord(digest) : null;
    return defaults && { digest, root, defaults };
  }

  async #make(
    reference: ImageReference,
    known: string | null,
    signal: AbortSignal,
    tell: (text: string) => void,
  ): Promise<ServiceImage> {
    const { insecure_registries, max_image_size_bytes: maxImageBytes } = this.#settings;
    const name = formatImageReference(reference);
    let digest = known;
    if (digest === null) {
      const progress = new PullProgress();
      const limits = { insecureLoopback: false, insecureRegistries: insecure_registries, maxImageBytes };
      tell('waiting to be pulled');
      const [stored] = await this.#images.pull(
        { names: [name], ...limits },
        {
          signal,
          onEvent(event) {
            const text = progress.take(event);
            if (text !== null) tell(text);
          },
        },
      );
      digest = stored!.digest;
    }
    tell('preparing image');
    await this.#images.buildRoot(digest, maxImageBytes, { signal });
    const made = await this.recall(digest);
    if (made) return made;
    throw new MonocoreError('ImageInvalid', `${name} was removed while it was being prepared; start the service again`);
  }

  /** The digest of the manifest that is to be used, or null where the store does not have it. */
  async #resolve(reference: ImageReference, wanted: string | null): Promise<string | null> {
    const { manifests } = await this.#readIndex();
    if (wanted !== null && manifests.some(({ digest }) => digest === wanted)) return wanted;
    const name = formatImageReference(reference);
    const named = manifests.find((entry) => nameOf(entry) === name);
    if (named) return named.digest;
    // A manifest by its digest is the same whatever it is called. What a name with a digest was pulled for was verified.
    return manifests.find(({ digest }) => digest === reference.digest)?.digest ?? null;
  }

  async #readIndex(): Promise<ImageIndex> {
    const text = await readText(this.#paths.index);
    return text === null ? { schemaVersion: 2, manifests: [] } : this.#parse(ImageIndexSchema, text, this.#paths.index);
  }

  async #readRecord(digest: string): Promise<ImageDefaults | null> {
    const path = this.#paths.rootRecord(digest);
    const text = await readText(path);
    return text === null ? null : this.#parse(ImageDefaultsSchema, text, path);
  }

  #parse<Schema extends v.GenericSchema>(schema: Schema, text: string, path: string): v.InferOutput<Schema> {
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), schema), text);
    if (parsed.success) return parsed.output;
    throw new MonocoreError('ImageInvalid', `the image store is damaged: ${path}: ${parsed.issues[0].message}`);
  }
}

/** Null for a file that is not there. */
async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return null;
    throw new MonocoreError('ImageInvalid', `the image store cannot be read: ${errorText(cause)}`, { cause });
  }
}

async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  return found?.isFile() ?? false;
}
