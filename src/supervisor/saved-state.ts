/** How long the lifecycle waits for the disk. */
import type { Clock } from '../lib/clock.ts';
import type { SavedState } from '../protocol/state-document.ts';
import type { StateStore } from './interfaces.ts';

/**
 * A service that is to stop is asked to after this long, whether or not that is on disk by then. Where the daemon
 * crashes meanwhile, the next one finds it as one that ended by itself.
 */
const STOP_PATIENCE_MS = 250;

/**
 * Writes what is known of a service. Resolves when it is on disk, so that what is done next is announced there; only a
 * stop does not wait for a disk that hangs. Throws the system's error.
 */
export async function persist(
  document: SavedState,
  { store, clock }: { readonly store: StateStore; readonly clock: Clock },
): Promise<void> {
  const { status } = document;
  if (typeof status !== 'string') return store.conclude(document);
  const saved = store.save(document);
  if (status !== 'Stopping') return saved;
  let cancel = (): void => {};
  const patience = new Promise<void>((resolve) => {
    cancel = clock.after(STOP_PATIENCE_MS, resolve);
  });
  // One that fails later is tried again by the store.
  saved.catch(() => {});
  await Promise.race([saved, patience]).finally(cancel);
}
