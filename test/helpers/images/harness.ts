/** A store of its own for a test, and pulls into it without threads. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ImageEvent, PullInput, StoredImage } from '../../../src/protocol/images.ts';
import { ImagePaths } from '../../../src/state/paths.ts';
import { pullImage } from '../../../workers/images/pull.ts';
import { ImageStore } from '../../../workers/images/store/store.ts';
import { makeTempDir } from '../temp.ts';
import { ARCHITECTURE } from './images.ts';

/** Fast enough for tests, and patient enough for what they break. */
const RETRIES = { retries: 3, minTimeout: 1, maxTimeout: 5 };
export const PLATFORM = { os: 'linux', architecture: ARCHITECTURE };
export const LARGE = 2 ** 30;

/** A store, and what was said about it. */
export interface TestStore {
  readonly store: ImageStore;
  readonly dir: string;
  readonly events: ImageEvent[];
  /** Digests of the blobs that are there. */
  blobs(): string[];
  /** Names of files that are not verified. */
  partial(): string[];
  pull(name: string, settings?: PullSettings): Promise<StoredImage>;
}

interface PullSettings extends Partial<Omit<PullInput, 'name'>> {
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: ImageEvent) => void;
}

/** @param folder of the store; a temporary one by default */
export async function makeStore(t: TestContext, folder?: string): Promise<TestStore> {
  const dir = folder ?? (await makeTempDir(t));
  const store = new ImageStore(new ImagePaths(dir));
  await store.prepare();
  const events: ImageEvent[] = [];
  return {
    store,
    dir,
    events,
    blobs: () => readdirSync(store.paths.blobsDir).map((hex) => `sha256:${hex}`),
    partial: () => (existsSync(store.paths.partialDir) ? readdirSync(store.paths.partialDir) : []),
    async pull(name, { signal = new AbortController().signal, onEvent, ...settings } = {}) {
      const job = {
        platform: PLATFORM,
        max_image_size_bytes: LARGE,
        insecure_loopback: true,
        insecure_registries: [],
        docker_config: join(dir, 'none', 'config.json'),
        proxies: { http: null, https: null, exempt: '' },
        ...settings,
        name,
      };
      const report = (event: ImageEvent) => {
        events.push(event);
        onEvent?.(event);
      };
      return pullImage(job, { store, signal, report }, RETRIES);
    },
  };
}
