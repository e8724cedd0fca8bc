/** What the main thread asks of the state worker. */
import type { WireError } from '../lib/wire-error.ts';

/** A file that gets a new content, or is removed. */
export type FileChange =
  | {
      readonly type: 'write';
      /** Absolute, in a folder that is there. */
      readonly path: string;
      /** As text, which costs the main thread less to hand over than the document that it was made of. */
      readonly text: string;
      /** Whether the content is on disk when the change is answered, see fsync(2). */
      readonly durable: boolean;
    }
  /** One that is not there will do. What a crash left beside it goes, too. */
  | { readonly type: 'remove'; readonly path: string };

/** Commands of the main thread. Exposed with comlink. */
export interface StateApi {
  /**
   * Makes the changes, at most one for each path, and none for a path of which another call is not answered yet. Never
   * throws.
   *
   * @returns for each of them why it could not be made, or null; a file has its old content then
   */
  change(changes: readonly FileChange[]): Promise<(WireError | null)[]>;
}

/** Where a file is written before it takes its name; what a crash leaves there is overwritten by the next write. */
export function asideOf(path: string): string {
  return `${path}.tmp`;
}
