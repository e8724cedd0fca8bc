/** Finite jobs that run in the piscina pool, off the main thread. Inputs and results are plain data. */
import { toWireError, type WireError } from '../lib/errors.ts';
import type { ImageJob, ImageJobResults } from './images.ts';
import type { LogPattern, SearchPage } from './log-files/queries.ts';
import type { HomeLogSettings, LogSettings } from './log-settings.ts';

/** Builds the initramfs of the guest, or finds it in the cache. */
export interface BuildInitramfsJob {
  readonly type: 'build-initramfs';
  /** Absolute path of the host's statically linked busybox. */
  readonly busyboxPath: string;
  /** Absolute path of the kernel's module folder (`…/lib/modules/<version>`); null if it has none. */
  readonly modulesDir: string | null;
  /** Cache folder; the result is `<cacheDir>/<sha256 of the content>.cpio`. */
  readonly cacheDir: string;
}

/** Result of {@link BuildInitramfsJob}. */
export interface InitramfsImage {
  readonly path: string;
  readonly bytes: number;
  /** Names of the included modules, in load order for each purpose. */
  readonly modules: readonly string[];
}

/** Compresses a finished log file; does nothing if it is gone, and completes a compression that a crash interrupted. */
interface CompressLogJob {
  readonly type: 'compress-log';
  /** Absolute path of the file; it is replaced by `<path>.gz`. */
  readonly path: string;
}

/** Limits on the finished files of a service; a file is kept unless a limit excludes it, see `LogSettings`. */
export type LogRetention = Pick<LogSettings, 'keep_files' | 'keep_total_bytes' | 'keep_for_ms' | 'compress'>;

/** Removes expired log files, oldest first; the newest file of a stream only because of its age, if at all. */
export interface PruneLogsJob {
  readonly type: 'prune-logs';
  /** Absolute path of the log folder. */
  readonly logDir: string;
  /** Limits by service. */
  readonly retentions: Readonly<Record<string, LogRetention>>;
  /** Limits for unknown services. */
  readonly otherRetention: LogRetention;
  readonly home: HomeLogSettings;
  /** Services whose newest files are being written. */
  readonly written: readonly string[];
  readonly nowMs: number;
}

/** Result of {@link PruneLogsJob}. */
export interface PrunedLogs {
  /** Names of the removed files. */
  readonly removed: readonly string[];
  /** Finished files that should be compressed, of services that enable compression. */
  readonly compressible: readonly { readonly name: string; readonly service: string; readonly modifiedAtMs: number }[];
}

/** Searches one page: posts `SearchReply`s to a log worker; the result is the last of them. */
export interface SearchLogsJob extends SearchPage {
  readonly type: 'search-logs';
  /** Transferred with the job. The job ends when the other side closes the port. */
  readonly port: import('node:worker_threads').MessagePort;
}

/** Tests a text against a pattern; the result is true if a search would find it. */
export interface MatchLineJob {
  readonly type: 'match-line';
  readonly pattern: LogPattern;
  readonly text: string;
  /** Shared memory that the job sets to 1 when it begins. */
  readonly begun: Int32Array;
}

/** Jobs that need few resources besides Node. */
export type SmallJob = BuildInitramfsJob | CompressLogJob | PruneLogsJob | SearchLogsJob | MatchLineJob;
export type Job = SmallJob | ImageJob;

interface JobResults extends ImageJobResults {
  readonly 'build-initramfs': InitramfsImage;
  readonly 'compress-log': null;
  readonly 'prune-logs': PrunedLogs;
  readonly 'search-logs': null;
  readonly 'match-line': boolean;
}
export type JobResult<J extends Job> = JobResults[J['type']];

/** Result of a job as a pool thread returns it; piscina would reduce an error to its message. */
export type JobOutcome<Result> = { readonly result: Result } | { readonly error: WireError };

/** Runs some work and returns its outcome; never throws. */
export async function outcomeOf<Result>(work: () => Promise<Result>): Promise<JobOutcome<Result>> {
  try {
    return { result: await work() };
  } catch (error) {
    return { error: toWireError(error) };
  }
}
