/** What the main thread knows of the streams of one service while they are captured. */

import type { StreamName } from '../protocol/log-files/names.ts';
import type { LogSettings } from '../protocol/log-settings.ts';
import type { HeldOutput } from '../protocol/logs.ts';
import type { CaptureHandlers } from '../supervisor/interfaces.ts';

interface Marker {
  readonly marker: string | null;
  readonly awaited: Set<StreamName>;
  readonly onSeen: () => void;
}

/** The captured streams of a service, which are all on one worker. Main thread. */
export class LogCapture<Worker> {
  readonly worker: Worker;
  readonly handlers: CaptureHandlers;
  readonly settings: LogSettings;
  /** Streams that have not ended. */
  readonly open: Set<StreamName>;
  /** They are to end though a process may hold them. */
  isClosing = false;
  /** Streams that cannot be written, with the reason. */
  readonly #stalled = new Map<StreamName, string>();
  #marker: Marker | null = null;

  constructor(worker: Worker, streams: readonly StreamName[], handlers: CaptureHandlers, settings: LogSettings) {
    this.worker = worker;
    this.open = new Set(streams);
    this.handlers = handlers;
    this.settings = settings;
  }

  /** Resolves when each of `streams` has brought `marker`, or has ended. */
  awaitMarker(marker: string | null, streams: readonly StreamName[]): Promise<void> {
    return new Promise((onSeen) => {
      this.#marker = { marker, awaited: new Set(streams), onSeen };
    });
  }

  /** The marker that a stream has not brought yet, if there is one. @param held has it if it only waits to be told of */
  markerOf(stream: StreamName, held: HeldOutput | null): { readonly marker?: string | null } {
    if (held?.items.some(({ type }) => type === 'marker-seen')) return {};
    return this.#marker?.awaited.has(stream) ? { marker: this.#marker.marker } : {};
  }

  markSeen(stream: StreamName): void {
    if (this.#marker?.awaited.delete(stream) && this.#marker.awaited.size === 0) this.#marker.onSeen();
  }

  /** A stream cannot be written; null: it can be again, or need not be. */
  markStalled(stream: StreamName, error: string | null): void {
    if (error !== null) this.#stalled.set(stream, `${stream}: ${error}`);
    else if (!this.#stalled.delete(stream)) return;
    const [reason = null] = this.#stalled.values();
    this.handlers.onStalled?.(reason);
  }

  /** A stream has ended. Returns whether it was the last one. */
  markEnded(stream: StreamName): boolean {
    this.markSeen(stream);
    this.markStalled(stream, null);
    this.open.delete(stream);
    return this.open.size === 0;
  }
}

/** The worker with the fewest services, for one more: all streams of a service are on one worker. */
export function leastLoaded<Worker>(workers: readonly Worker[], captures: Iterable<LogCapture<Worker>>): Worker {
  const load = new Map(workers.map((worker) => [worker, 0]));
  for (const { worker } of captures) load.set(worker, (load.get(worker) ?? 0) + 1);
  return workers.reduce((least, worker) => (load.get(worker)! < load.get(least)! ? worker : least));
}
