/** Keeps the log folder within its limits: schedules the jobs that compress finished files and remove old ones. */
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

/** Interval of passes: files expire even if nothing is written. */
const PASS_INTERVAL_MS = 3600e3;
/** Delay before a pass, because files are often rotated in bursts. */
const PASS_DELAY_MS = 1000;

interface LogRetentionOptions {
  readonly logDir: string;
  readonly clock: Clock;
  readonly runJob: <J extends Job>(job: J) => Promise<JobResult<J>>;
  readonly report: Report;
}

/** File that is waiting for compression or being compressed. */
interface Compression {
  readonly service: string;
  readonly cancel: () => void;
  /** Null until the compression starts. */
  running: Promise<void> | null;
}

/** Decides which jobs run and when. Main thread. */
export class LogRetention {
  readonly #options: LogRetentionOptions;
  readonly #settings = new Map<string, LogSettings>();
  /** Services whose files are being written. */
  readonly #written = new Set<string>();
  /** Compressions by path. */
  readonly #compressions = new Map<string, Compression>();
  #home: HomeLogSettings = DEFAULT_HOME_LOG_SETTINGS;
  #pass: Promise<void> | null = null;
  #cancelPass: (() => void) | null = null;
  #cancelInterval: (() => void) | null = null;
  /** Number of services whose files are being removed; no pass starts meanwhile. */
  #removals = 0;
  #isStopped = false;

  constructor(options: LogRetentionOptions) {
    this.#options = options;
  }

  /** Requests a pass now and then every hour. */
  start(): void {
    this.requestPass();
    this.#cancelInterval = this.#options.clock.after(PASS_INTERVAL_MS, () => this.start());
  }

  /** Starts no more jobs; running ones end with their pool. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelInterval?.();
    this.#cancelPass?.();
    for (const { cancel } of this.#compressions.values()) cancel();
  }

  /** Sets how the files of a service are kept, whether or not it is running. */
  know(service: string, settings: LogSettings): void {
    this.#settings.set(service, settings);
  }

  /**
   * Announces that the files of a service are about to be written. Resolves once no pass can treat them as files of an
   * ended service. Only new settings trigger a pass: each pass starts a thread, and dozens of services may start at
   * once.
   */
  async begin(service: string, settings: LogSettings): Promise<void> {
    // Files of unknown services are kept according to the defaults.
    const before = this.#settings.get(service) ?? DEFAULT_LOG_SETTINGS;
    this.know(service, settings);
    this.#written.add(service);
    if (!isDeepStrictEqual(settings, before)) this.requestPass();
    await this.#pass;
  }

  /** Announces that the files of a service are no longer written. */
  end(service: string): void {
    this.#written.delete(service);
  }

  /** Sets the limits for all services together. */
  limit(settings: HomeLogSettings): void {
    const isNew = !isDeepStrictEqual(settings, this.#home);
    this.#home = settings;
    if (isNew) this.requestPass();
  }

  /** Handles a rotated file. */
  onFinished(id: StreamId, number: number): void {
    const settings = this.#settings.get(id.service);
    if (settings?.compress === 'gzip') {
      this.#scheduleCompression(id.service, fileName(id, number), settings.compress_delay_ms);
    }
    this.requestPass();
  }

  /** Requests a pass over the folder. */
  requestPass(): void {
    if (this.#cancelPass || this.#isStopped) return;
    this.#cancelPass = this.#options.clock.after(PASS_DELAY_MS, () => {
      this.#cancelPass = null;
      if (this.#pass || this.#removals > 0) this.requestPass();
      else this.#beginPass();
    });
  }

  /** Runs `remove`, which removes all files of a service, while no job uses them; then forgets the service. */
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
    const nowMs = clock.now();
    const { compressible } = await runJob({
      type: 'prune-logs',
      logDir,
      retentions: Object.fromEntries(this.#settings),
      otherRetention: DEFAULT_LOG_SETTINGS,
      home: this.#home,
      written: [...this.#written],
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
      // The next pass will find the file again.
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
