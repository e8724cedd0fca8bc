/**
 * Image store of one home. Each request is a job of the pool, so that no download, hash or tar runs on the main thread.
 *
 * If a daemon runs, its process alone changes the store, and commands send requests to it. Otherwise each command
 * changes the store itself. Jobs of several processes may safely run side by side: they take the lock of the store in
 * turn, which the kernel releases when a process dies, and each change of the store is a single rename.
 */
import { once } from 'node:events';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { errorText, MonocoreError, toWireError } from '../lib/errors.ts';
import { fullImageName } from '../protocol/image-reference.ts';
import type {
  ImageChange,
  ImageChangeJob,
  ImageEvent,
  ImageJobResults,
  ImageReply,
  ImageSummary,
  LoadRequest,
  Platform,
  ProxySettings,
  PullRequest,
  RemovedImages,
  RemoveImagesRequest,
  StoredImage,
} from '../protocol/images.ts';
import { makePrivateFolder } from '../state/folder.ts';
import type { HomePaths } from '../state/paths.ts';
import type { JobPool } from '../threads/job-pool.ts';
import { orAborted, SharedTasks } from './shared-tasks.ts';

/** Time for a cancelled job to close its files before its thread is terminated. */
const CANCEL_GRACE_MS = 5000;

/** Progress and cancellation of a request. */
export interface RequestOptions {
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: ImageEvent) => void;
}

/** Requests on the images of a home; the daemon's client implements them as well. */
export type ImageRequests = Pick<Images, 'pull' | 'load' | 'remove' | 'prune' | 'list'>;

type Change = ImageChange['type'];
type Request<T extends Change> = Extract<ImageChange, { readonly type: T }>;

/**
 * Image store of one home. Methods throw MonocoreError: `Aborted` if the signal fires, `HomeUnusable` if the folder of
 * the store cannot be created, and the errors of the jobs. Main thread.
 */
export class Images {
  readonly #pool: JobPool;
  readonly #dir: string;
  readonly #stateDirs: readonly string[];
  /** Pulls and builds with several waiters, keyed by the job without its port. */
  readonly #shared = new SharedTasks<ImageJobResults[Change], ImageEvent>(rememberEvent);
  /** Settles when every change requested so far has ended. */
  #changes: Promise<unknown> = Promise.resolve();
  #pending = 0;

  constructor(pool: JobPool, paths: HomePaths) {
    this.#pool = pool;
    this.#dir = paths.images.dir;
    this.#stateDirs = [paths.runDir, paths.endedDir];
  }

  /** Pulls images one after the other. */
  async pull({ names, ...request }: PullRequest, options?: RequestOptions): Promise<readonly StoredImage[]> {
    // Rejects an invalid name before any image is pulled.
    const fullNames = names.map(fullImageName);
    const docker_config = request.docker_config ?? dockerConfigPath();
    const host = { platform: hostPlatform(), docker_config, proxies: request.proxies ?? proxySettings() };
    const stored: StoredImage[] = [];
    for (const name of fullNames) {
      stored.push(await this.#share({ type: 'pull-image', ...request, ...host, name }, options));
    }
    return stored;
  }

  load(request: LoadRequest, options?: RequestOptions): Promise<readonly StoredImage[]> {
    return this.#change({ type: 'load-images', ...request, platform: hostPlatform() }, options);
  }

  /** Removes images by name. @throws MonocoreError `ImageInUse` for an image that a service uses */
  remove({ names }: RemoveImagesRequest, options?: RequestOptions): Promise<RemovedImages> {
    return this.#change({ type: 'remove-images', names, stateDirs: this.#stateDirs }, options);
  }

  /** Removes images that have no name and that no service uses. */
  prune(options?: RequestOptions): Promise<RemovedImages> {
    return this.#change({ type: 'prune-images', stateDirs: this.#stateDirs }, options);
  }

  /** Builds the root file system of a stored image unless it exists. @param digest of its manifest */
  async buildRoot(digest: string, maxImageBytes: number, options?: RequestOptions): Promise<void> {
    await this.#share({ type: 'build-root-image', digest, max_image_size_bytes: maxImageBytes }, options);
  }

  list(): Promise<readonly ImageSummary[]> {
    return this.#pool.run({ type: 'list-images', imagesDir: this.#dir });
  }

  /** Resolves when every change has ended, cancelled ones included. */
  async settle(): Promise<void> {
    await this.#changes;
  }

  /** Changes the store, or joins the same change if it is already requested. */
  async #share<T extends Change>(
    job: Request<T>,
    { signal = new AbortController().signal, onEvent = () => {} }: RequestOptions = {},
  ): Promise<ImageJobResults[T]> {
    const result = await this.#shared.join(JSON.stringify(job), { signal, onEvent }, (options) =>
      this.#change(job, options),
    );
    return result as ImageJobResults[T];
  }

  /** Changes the store after all earlier changes have ended, so that a thread of the pool stays free to list images. */
  async #change<T extends Change>(
    job: Request<T>,
    { signal = new AbortController().signal, onEvent = () => {} }: RequestOptions = {},
  ): Promise<ImageJobResults[T]> {
    if (signal.aborted) throw new MonocoreError('Aborted', 'the request was cancelled');
    const before = this.#changes;
    if (this.#pending > 0) onEvent({ type: 'waiting' });
    this.#pending += 1;
    const changed = orAborted(before, signal).then(() => this.#run(job, signal, onEvent));
    this.#changes = Promise.allSettled([before, changed]);
    try {
      return await changed;
    } finally {
      this.#pending -= 1;
    }
  }

  async #run<T extends Change>(
    job: Request<T>,
    signal: AbortSignal,
    onEvent: (event: ImageEvent) => void,
  ): Promise<ImageJobResults[T]> {
    try {
      makePrivateFolder(this.#dir, 0o700);
    } catch (cause) {
      throw new MonocoreError('HomeUnusable', `${this.#dir} cannot be created: ${errorText(cause)}`, { cause });
    }
    const { port1, port2 } = new MessageChannel();
    const end = new AbortController();
    let grace: NodeJS.Timeout | undefined;
    const onAbort = () => {
      port1.postMessage('cancel');
      grace = setTimeout(() => end.abort(), CANCEL_GRACE_MS);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    port1.on('message', onEvent);
    const closed = once(port1, 'close');
    try {
      const whole: ImageChangeJob = { ...job, imagesDir: this.#dir, port: port2 };
      return (await this.#pool.run(whole, { signal: end.signal, ports: [port2] })) as ImageJobResults[T];
    } finally {
      clearTimeout(grace);
      signal.removeEventListener('abort', onAbort);
      // If the job never ran, the port is still here. Events on their way arrive before its close event.
      port2.close();
      await closed;
    }
  }
}

/** Progress that a late caller receives: the latest event of each blob and request, without waits that are over. */
function rememberEvent(past: readonly ImageEvent[], event: ImageEvent): readonly ImageEvent[] {
  const isReplaced = (old: ImageEvent): boolean => {
    if (old.type === 'bytes') return (event.type === 'bytes' || event.type === 'kept') && old.digest === event.digest;
    if (old.type === 'retry') return event.type === 'retry' && old.what === event.what;
    return old.type === 'waiting';
  };
  return [...past.filter((old) => !isReplaced(old)), event];
}

/**
 * Performs a pull or load and posts its events to `port`, followed by `done` or `error`. Closing the other side of the
 * port cancels the request.
 */
export async function followRequest(
  port: MessagePort,
  request: (options: RequestOptions) => Promise<readonly StoredImage[]>,
): Promise<void> {
  const cancel = new AbortController();
  port.once('close', () => cancel.abort());
  const post = (reply: ImageReply) => port.postMessage(reply);
  try {
    post({ type: 'done', images: await request({ signal: cancel.signal, onEvent: post }) });
  } catch (error) {
    post({ type: 'error', error: toWireError(error) });
  } finally {
    port.close();
  }
}

/** Go's names of Node's architectures, where they differ: images are labelled with them (`go tool dist list`). */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };

/** Platform of guests: Linux on the architecture of the host. */
export function hostPlatform(arch: string = process.arch): Platform {
  return { os: 'linux', architecture: ARCHITECTURES[arch] ?? arch };
}

/**
 * Absolute path of Docker's config file, where `docker login` stores credentials: in `DOCKER_CONFIG`, or else in
 * `~/.docker`.
 */
export function dockerConfigPath(env: NodeJS.ProcessEnv = process.env): string {
  return resolve(env.DOCKER_CONFIG || join(homedir(), '.docker'), 'config.json');
}

/**
 * Proxy settings from the usual environment variables. Lower case wins if both are set, as with curl(1); an empty
 * variable counts as unset.
 */
export function proxySettings(env: NodeJS.ProcessEnv = process.env): ProxySettings {
  const read = (name: string): string | null => env[name.toLowerCase()] || env[name] || null;
  return { http: read('HTTP_PROXY'), https: read('HTTPS_PROXY'), exempt: read('NO_PROXY') ?? '' };
}
