/**
 * The image store as other code asks it: each request is a job of the pool, so that no download, hash or tar runs on a
 * main thread.
 *
 * No daemon is needed. Jobs of several processes are safe side by side: they take the store's lock one after the other,
 * which the kernel frees when a process dies, and each change of the store is one rename.
 */
import { once } from 'node:events';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { errorCode, MonocoreError } from '../lib/errors.ts';
import type {
  BuildRootImageJob,
  ImageEvent,
  ImageJobResults,
  ImageSummary,
  LoadImagesJob,
  PruneImagesJob,
  PullImagesJob,
  RemovedImages,
  RemoveImagesJob,
  StoredImage,
} from '../protocol/images.ts';
import { makeFolder } from '../state/folder.ts';
import type { HomePaths } from '../state/paths.ts';
import type { JobPool } from '../threads/job-pool.ts';
import { dockerConfigPath, hostPlatform, proxySettings } from './host.ts';

/** How long a job that is called off may take to close its files, before its thread is ended. */
const CANCEL_GRACE_MS = 5000;

/** How a request is followed and called off. */
export interface RequestOptions {
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: ImageEvent) => void;
}

type LongJob = PullImagesJob | LoadImagesJob | RemoveImagesJob | PruneImagesJob | BuildRootImageJob;
/** What is to be pulled. */
export type PullRequest = Pick<PullImagesJob, 'names' | 'insecureLoopback' | 'insecureRegistries' | 'maxImageBytes'>;
/** What is to be loaded. */
export type LoadRequest = Pick<LoadImagesJob, 'path' | 'name' | 'maxImageBytes'>;

/**
 * Image store of one home. Methods throw MonocoreError: `Aborted` when the signal fires, `HomeUnusable` when the store's
 * folder cannot be made, and what `protocol/images.ts` and the jobs say.
 */
export class Images {
  readonly #pool: JobPool;
  readonly #dir: string;
  readonly #stateDirs: readonly string[];

  constructor(pool: JobPool, paths: HomePaths) {
    this.#pool = pool;
    this.#dir = paths.images.dir;
    this.#stateDirs = [paths.runDir, paths.endedDir];
  }

  pull(request: PullRequest, options?: RequestOptions): Promise<readonly StoredImage[]> {
    const host = { platform: hostPlatform(), dockerConfigPath: dockerConfigPath(), proxies: proxySettings() };
    return this.#change<PullImagesJob>({ type: 'pull-images', imagesDir: this.#dir, ...request, ...host }, options);
  }

  load(request: LoadRequest, options?: RequestOptions): Promise<readonly StoredImage[]> {
    return this.#change<LoadImagesJob>(
      { type: 'load-images', imagesDir: this.#dir, ...request, platform: hostPlatform() },
      options,
    );
  }

  /** Images that a service uses stay, which is an error. */
  remove(names: readonly string[], options?: RequestOptions): Promise<RemovedImages> {
    const guard = { stateDirs: this.#stateDirs };
    return this.#change<RemoveImagesJob>({ type: 'remove-images', imagesDir: this.#dir, names, ...guard }, options);
  }

  /** What a service uses stays. */
  prune(options?: RequestOptions): Promise<RemovedImages> {
    const guard = { stateDirs: this.#stateDirs };
    return this.#change<PruneImagesJob>({ type: 'prune-images', imagesDir: this.#dir, ...guard }, options);
  }

  /** Makes what services boot from of an image in the store, unless it is there. @param digest of its manifest */
  async buildRoot(digest: string, maxImageBytes: number, options?: RequestOptions): Promise<void> {
    const job = { type: 'build-root-image', imagesDir: this.#dir, digest, maxImageBytes } as const;
    await this.#change<BuildRootImageJob>(job, options);
  }

  list(): Promise<readonly ImageSummary[]> {
    return this.#pool.run({ type: 'list-images', imagesDir: this.#dir });
  }

  async #change<J extends LongJob>(
    job: Omit<J, 'port'>,
    { signal, onEvent = () => {} }: RequestOptions = {},
  ): Promise<ImageJobResults[J['type']]> {
    if (signal?.aborted) throw new MonocoreError('Aborted', 'called off');
    this.#makeDir();
    const { port1, port2 } = new MessageChannel();
    const end = new AbortController();
    let grace: NodeJS.Timeout | undefined;
    const onAbort = () => {
      port1.postMessage('cancel');
      grace = setTimeout(() => end.abort(), CANCEL_GRACE_MS);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    port1.on('message', onEvent);
    const closed = once(port1, 'close');
    try {
      const whole = { ...job, port: port2 as MessagePort } as unknown as J;
      const result = await this.#pool.run(whole, { signal: end.signal, ports: [port2] });
      return result as ImageJobResults[J['type']];
    } finally {
      clearTimeout(grace);
      signal?.removeEventListener('abort', onAbort);
      // A job that never ran still has the port here. Events that are on their way come before its end.
      port2.close();
      await closed;
    }
  }

  #makeDir(): void {
    try {
      makeFolder(this.#dir, 0o755);
    } catch (cause) {
      throw new MonocoreError('HomeUnusable', `${this.#dir} cannot be made (${errorCode(cause)})`, { cause });
    }
  }
}
