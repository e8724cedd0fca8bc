/**
 * The image store of one home: each request is a job of the pool, so that no download, hash or tar runs on the main
 * thread.
 *
 * With a daemon its process is the only one that changes the store; commands ask it. Without one each command does it in
 * process. Jobs of several processes are safe side by side: they take the store's lock one after the other, which the
 * kernel frees when a process dies, and each change of the store is one rename.
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

/** Time in which a cancelled job may close its files, before its thread is ended. */
const CANCEL_GRACE_MS = 5000;

/** Progress and cancellation of a request. */
export interface RequestOptions {
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: ImageEvent) => void;
}

/** Requests on the images of a home, which the daemon's client implements, too. */
export type ImageRequests = Pick<Images, 'pull' | 'load' | 'remove' | 'prune' | 'list'>;

type Change = ImageChange['type'];
type Request<T extends Change> = Extract<ImageChange, { readonly type: T }>;

/**
 * Image store of one home. Methods throw MonocoreError: `Aborted` when the signal fires, `HomeUnusable` when the store's
 * folder cannot be made, and the errors of the jobs. Main thread.
 */
export class Images {
  readonly #pool: JobPool;
  readonly #dir: string;
  readonly #stateDirs: readonly string[];
  /** Pulls and builds that several want at once, by the job without its port. */
  readonly #shared = new SharedTasks<ImageJobResults[Change], ImageEvent>(rememberEvent);
  /** Settled when every change that was asked for so far has ended. */
  #changes: Promise<unknown> = Promise.resolve();
  #pending = 0;

  constructor(pool: JobPool, paths: HomePaths) {
    this.#pool = pool;
    this.#dir = paths.images.dir;
    this.#stateDirs = [paths.runDir, paths.endedDir];
  }

  /** Pulls images one after the other. */
  async pull({ names, ...request }: PullRequest, options?: RequestOptions): Promise<readonly StoredImage[]> {
    // A name that is not valid fails before any image is pulled.
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

  /** @throws MonocoreError `ImageInUse` for an image that a service uses */
  remove({ names }: RemoveImagesRequest, options?: RequestOptions): Promise<RemovedImages> {
    return this.#change({ type: 'remove-images', names, stateDirs: this.#stateDirs }, options);
  }

  /** Removes images that have no name and that no service uses. */
  prune(options?: RequestOptions): Promise<RemovedImages> {
    return this.#change({ type: 'prune-images', stateDirs: this.#stateDirs }, options);
  }

  /** Builds the root of an image in the store, unless it exists. @param digest of its manifest */
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

  /** Changes the store, or waits for the same change that was asked for before. */
  async #share<T extends Change>(
    job: Request<T>,
    { signal = new AbortController().signal, onEvent = () => {} }: RequestOptions = {},
  ): Promise<ImageJobResults[T]> {
    const result = await this.#shared.join(JSON.stringify(job), { signal, onEvent }, (options) =>
      this.#change(job, options),
    );
    return result as ImageJobResults[T];
  }

  /** Changes the store when all changes before this one have ended, so that one thread of the pool stays free to list. */
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
      throw new MonocoreError('HomeUnusable', `${this.#dir} cannot be made: ${errorText(cause)}`, { cause });
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
      // A job that never ran still has the port here. Events that are on their way come before its end.
      port2.close();
      await closed;
    }
  }
}

/** Progress that a late caller gets: the latest of each blob and request, and no wait that is over. */
function rememberEvent(past: readonly ImageEvent[], event: ImageEvent): readonly ImageEvent[] {
  const isReplaced = (old: ImageEvent): boolean => {
    if (old.type === 'bytes') return (event.type === 'bytes' || event.type === 'kept') && old.digest === event.digest;
    if (old.type === 'retry') return event.type === 'retry' && old.what === event.what;
    return old.type === 'waiting';
  };
  return [...past.filter((old) => !isReplaced(old)), event];
}

/**
 * Performs a pull or load and posts its events over `port`, then `done` or `error`. The request is cancelled when the
 * other side closes the port.
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

/** Go's names for Node's architectures, where they differ: images are labelled with them (`go tool dist list`). */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };

/** Platform of guests: Linux on the host's processor. */
export function hostPlatform(arch: string = process.arch): Platform {
  return { os: 'linux', architecture: ARCHITECTURES[arch] ?? arch };
}

/** Docker's config file, where `docker login` keeps credentials: in `DOCKER_CONFIG`, else in `~/.docker`. Absolute. */
export function dockerConfigPath(env: NodeJS.ProcessEnv = process.env): string {
  return resolve(env.DOCKER_CONFIG || join(homedir(), '.docker'), 'config.json');
}

/**
 * Proxies by the names that most programs know. Lower case wins, as with curl(1), where both are set; an empty variable
 * counts as not set.
 */
export function proxySettings(env: NodeJS.ProcessEnv = process.env): ProxySettings {
  const read = (name: string): string | null => env[name.toLowerCase()] || env[name] || null;
  return { http: read('HTTP_PROXY'), https: read('HTTPS_PROXY'), exempt: read('NO_PROXY') ?? '' };
}
