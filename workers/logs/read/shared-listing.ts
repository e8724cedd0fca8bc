/** File operations for streams that are opened together: what they all ask of the folder is asked once. */
import { type Files, syncFiles } from '../capture/files.ts';

/** Each of dozens of services has files in one folder, and each of its streams looks for its own there. */
export class SharedListing {
  /** As the files that it was made with, but for `readdir` during {@link SharedListing.share}. */
  readonly files: Files;
  #listings: Map<string, string[]> | null = null;

  constructor(files: Files = syncFiles) {
    this.files = { ...files, readdir: (path) => this.#listings?.get(path) ?? this.#list(path, files) };
  }

  /**
   * Reads each folder once while `run` runs. It is synchronous, so that this thread writes nothing meanwhile but for the
   * streams that it opens, of which each looks only for files of its own.
   */
  share<T>(run: () => T): T {
    this.#listings = new Map();
    try {
      return run();
    } finally {
      this.#listings = null;
    }
  }

  #list(path: string, files: Files): string[] {
    const names = files.readdir(path);
    this.#listings?.set(path, names);
    return names;
  }
}
