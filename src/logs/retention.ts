/** Keeps the log folder within its limits: has finished files compressed, and those removed that are not to be kept. */
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../lib/clock.ts';
import { errorCode, errorText } from '../lib/errors.ts';
import type { Report } from '../lib/report.ts';
import type { Job, JobResult } from '../protocol/jobs.ts';
import { fileName, type StreamId } from '../protocol/log-files/names.ts';
import {
  DEFAULT_HOME_LOG_SETTINGS,
  DEFAULT_LOG_SETTINGS,
  type HomeLogSettings,
  type LogSettings,
} from '../protocol/log-settings.ts';

/** After this long files have grown old, whether or not anything was written. */
const PASS_INTERVAL_MS = 3600e3;
/** Rolls come in bursts; one pass does for all of them. */
const PASS_DELAY_MS = 1000;

/** What a keeper works with. */
export interface LogKeeperOptions {
  readonly logDir: string;
  readonly clock: Clock;
  readonly runJob: <J extends Job>(job: J) => Promise<JobResult<J>>;
  readonly report: Report;
}

/** A file that is to be compressed. */
interface Compression {
  readonly service: string;
  readonly cancel: () => void;
  /** Null before it begins. */
  running: Promise<void> | null;
}

/** The work is done by jobs in the pool; this says which and when. Main thread. */
export class LogRetention {
  readonly #options: LogKeeperOptions;
  readonly #settings = new Map<string, LogSettings>();
  /** Services whose files are written. */
  readonly #written = new Set<string>();
  /** By path. */
  readonly #compressions = new Map<string, Compression>();
  #home: HomeLogSettings = DEFAULT_HOME_LOG_SETTINGS;
  #pass: Promise<void> | null = null;
  #cancelPass: (() => void) | null = null;
  #cancelInterval: (() => void) | null = null;
  /** Removals of whole services, during which no pass begins. */
  #removals = 0;
  #isStopped = false;

  constructor(options: LogKeeperOptions) {
    this.#options = options;
  }

  /** Looks after the folder soon, and then once an hour. */
  start(): void {
    this.requestPass();
    this.#cancelInterval = this.#options.clock.after(PASS_INTERVAL_MS, () => this.start());
  }

  /** Nothing is begun any more; jobs that run end with their pool. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelInterval?.();
    this.#cancelPass?.();
    for (const { cancel } of this.#compressions.values()) cancel();
  }

  /** The files of a service are kept by these settings, whether or not it runs. */
  know(service: string, settings: LogSettings): void {
    this.#settings.set(service, settings);
  }

  /**
   * The files of a service are about to be written. Resolves when none of them is removed as that of an ended one. Settings
   * that are new for them have a pass; others had theirs, and each would start a thread while dozens of services start.
   */
  async begin(service: string, settings: LogSettings): Promise<void> {
    // What no service is known of is kept by the defaults.
    const before = this.#settings.get(service) ?? DEFAULT_LOG_SETTINGS;
    this.know(service, settings);
    this.#written.add(service);
    if (!isDeepStrictEqual(settings, before)) this.requestPass();
    await this.#pass;
  }

  /** They are written no more. */
  end(service: string): void {
    this.#written.delete(service);
  }

  /** Limits for all services together. */
  limit(settings: HomeLogSettings): void {
    const isNew = !isDeepStrictEqual(settings, this.#home);
    this.#home = settings;
    if (isNew) this.requestPass();
  }

  /** A file was rolled. */
  onFinished(id: StreamId, number: number): void {
    const settings = this.#settings.get(id.service);
    if (settings?.compress === 'gzip') {
      this.#scheduleCompression(id.service, fileName(id, number), settings.compress_delay_ms);
    }
    this.requestPass();
  }

  /** Looks after the folder soon. */
  requestPass(): void {
    if (this.#cancelPass || this.#isStopped) return;
    this.#cancelPass = this.#options.clock.after(PASS_DELAY_MS, () => {
      this.#cancelPass = null;
      if (this.#pass || this.#removals > 0) this.requestPass();
      else this.#beginPass();
    });
  }

  /** Runs `remove`, which removes all files of a service, while nothing else is done to them; then forgets it. */
  async whileRemoving(service: string, remove: () => Promise<void>): Promise<void> {
    this.#removals += 1;
    try {
      const running = [this.#pass];
      for (const [path, compression] of this.#compressions) {
        if (compression.service !== service) continue;
        compression.cancel();
        if (compression.running) running.push(compression.running);
        else this.#compressions.delete(path);
      }
      await Promise.all(running);
      await remove();
      this.#settings.delete(service);
    } finally {
      this.#removals -= 1;
    }
  }

  #beginPass(): void {
    this.#pass = this.#runPass()
      .catch((error: unknown) => this.#reportFailure('log files could not be removed', error))
      .finally(() => {
        this.#pass = null;
      });
  }

  async #runPass(): Promise<void> {
    const { logDir, clock, runJob } = this.#options;
    const retentions = Object.fromEntries(this.#settings);
    const otherRetention = DEFAULT_LOG_SETTINGS;
    const nowMs = clock.now();
    const written = [...this.#written];
    const { compressible } = await runJob({
      type: 'prune-logs',
      logDir,
      retentions,
      otherRetention,
      home: this.#home,
      written,
      nowMs,
    });
    for (const { name, service, modifiedAtMs } of compressible) {
      const delayMs = this.#settings.get(service)?.compress_delay_ms ?? 0;
      this.#scheduleCompression(service, name, Math.min(delayMs, Math.max(0, modifiedAtMs + delayMs - nowMs)));
    }
  }

  #scheduleCompression(service: string, name: string, delayMs: number): void {
    const path = join(this.#options.logDir, name);
    if (this.#compressions.has(path) || this.#isStopped) return;
    const cancel = this.#options.clock.after(delayMs, () => {
      compression.running = this.#compress(path);
    });
    const compression: Compression = { service, cancel, running: null };
    this.#compressions.set(path, compression);
  }

  async #compress(path: string): Promise<void> {
    try {
      await this.#options.runJob({ type: 'compress-log', path });
    } catch (error) {
      // The next pass finds it again.
      this.#reportFailure(`${path} could not be compressed`, error);
    } finally {
      this.#compressions.delete(path);
    }
  }

  #reportFailure(what: string, error: unknown): void {
    if (errorCode(error) === 'Aborted') return;
    this.#options.report('warn', `${what}: ${errorText(error)}`);
  }
}
