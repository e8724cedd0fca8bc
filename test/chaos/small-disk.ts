/** A file system for the home that can be full from one moment to the next. */
import { execFileSync } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { errorText } from '../../src/lib/errors.ts';

/** Far more than a run writes; nothing of it is taken before it is used. */
const SIZE_BYTES = 4 * 2 ** 30;
/** Space that stays free when the disk is full: at least a page, for the files that are being written. */
const SLACK_BYTES = 4096;
/** Others write meanwhile, so the size that was seen may be too small by now; each try leaves twice the space. */
const TRIES = 16;

/** A tmpfs; full by being made as small as what it has. */
export class SmallDisk {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** Mounts one; says why where that is not allowed. */
  static mount(dir: string): SmallDisk | string {
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_BYTES}`, 'tmpfs', dir], { stdio: 'pipe' });
      return new SmallDisk(dir);
    } catch (error) {
      return errorText(error).trim();
    }
  }

  /** From now on there is no space left. */
  fill(): void {
    for (let tries = 1; ; tries += 1) {
      const { blocks, bfree, bsize } = statfsSync(this.#dir);
      try {
        this.#resize((blocks - bfree) * bsize + SLACK_BYTES * 2 ** (tries - 1));
        return;
      } catch (error) {
        if (tries === TRIES) throw error;
      }
    }
  }

  free(): void {
    this.#resize(SIZE_BYTES);
  }

  unmount(): void {
    execFileSync('umount', ['--lazy', this.#dir]);
  }

  #resize(bytes: number): void {
    execFileSync('mount', ['-o', `remount,size=${bytes}`, this.#dir], { stdio: 'pipe' });
  }
}
