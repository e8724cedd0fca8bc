/** Finite jobs that run in the piscina pool, off the main thread. Inputs and results are plain data. */

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
  /** Names of the modules that it carries, in load order for each purpose. */
  readonly modules: readonly string[];
}

export type Job = BuildInitramfsJob;
export type JobResult<J extends Job> = J extends BuildInitramfsJob ? InitramfsImage : never;
