/** Finite jobs that run in the piscina pool, off the main thread. Inputs and results are plain data. */
import { toWireError, type WireError } from '../lib/errors.ts';
import type { ImageJob, ImageJobResults } from './images.ts';
import type { SearchPage } from './log-files/queries.ts';
import type { HomeLogSettings, LogSettings } from './log-settings.ts';

/** Builds the guest's initramfs, or finds it in the cache. */
export interface BuildInitramfsJob {
  readonly type: 'build-initramfs';
  /** Absolute path of the host's statically linked busybox. */
  readonly busyboxPath: string;
  /** Absolute path of the kernel's module folder (`…/lib/modules/<version>`), or null when it has none. */
  readonly modulesDir: string | null;
  /** Folder of the cache; the result is `<cacheDir>/<sha256 of the content>.cpio`. */
  readonly cacheDir: string;
}

/** Result of {@link BuildInitramfsJob}. */
export interface InitramfsImage {
  readonly path: string;
  readonly bytes: number;
  /** Names of the modules that it carries, in load order for each purpose. */
  readonly modules: readonly string[];
}

/** Compresses a log file that is finished; does nothing when it is gone, and ends what a crash cut off. */
interface CompressLogJob {
  readonly type: 'compress-log';
  /** Absolute path of the file; the result is `<path>.gz`, and the file is removed. */
  readonly path: string;
}

/** Which finished files of a service are kept: all that no limit excludes; see `LogSettings`. */
export type LogRetention = Pick<LogSettings, 'keep_files' | 'keep_total_bytes' | 'keep_for_ms' | 'compress'>;

/** Removes the log files that are not to be kept, oldest first; the newest of a stream only for its age, if ever. */
export interface PruneLogsJob {
  readonly type: 'prune-logs';
  /** Absolute path. */
  readonly logDir: string;
  /** By service. */
  readonly retentions: Readonly<Record<string, LogRetention>>;
  /** For services that are not known. */
  readonly otherRetention: LogRetention;
  readonly home: HomeLogSettings;
  /** Services whose newest files are being written. */
  readonly written: readonly string[];
  readonly nowMs: number;
}

/** Result of {@link PruneLogsJob}. */
export interface PrunedLogs {
  /** Names of the files that were removed. */
  readonly removed: readonly string[];
  /** Finished files that wait for compression, of services that want it. */
  readonly compressible: readonly { readonly name: string; readonly service: string; readonly modifiedAtMs: number }[];
}

/** Searches one page: posts `SearchReply`s to a log worker, and none after its result. */
export interface SearchLogsJob extends SearchPage {
  readonly type: 'search-logs';
  /** Handed over with the job. When the other side closes it, the job ends. */
  readonly port: import('node:worker_threads').MessagePort;
}

/** Jobs that need little besides Node. */
export type SmallJob = BuildInitramfsJob | CompressLogJob | PruneLogsJob | SearchLogsJob;
export type Job = SmallJob | ImageJob;

interface JobResults extends ImageJobResults {
  readonly 'build-initramfs': InitramfsImage;
  readonly 'compress-log': null;
  readonly 'prune-logs': PrunedLogs;
  readonly 'search-logs': null;
}
export type JobResult<J extends Job> = JobResults[J['type']];

/** Answer of a pool's thread; piscina would reduce an error to its message. */
export type JobOutcome<Result> = { readonly result: Result } | { readonly error: WireError };

/** Outcome of some work; never throws. */
export async function outcomeOf<Result>(work: () => Promise<Result>): Promise<JobOutcome<Result>> {
  try {
    return { result: await work() };
  } catch (error) {
    return { error: toWireError(error) };
  }
}
