/** JSON messages to and from the spawner, the process that starts all others, over child_process.fork's channel. */
import type { ProcessIdentity } from '../lib/proc.ts';

/**
 * Descriptor of a child: /dev/null, or a FIFO opened read-write, so that opening never blocks and end of file never
 * occurs.
 */
export type ChildFd = 'null' | { readonly fifo: string; readonly nonBlocking: boolean };

/** Program to start as the leader of a new session and process group. */
export interface SpawnRequest {
  /** Absolute path, or a name to look up in the `PATH` of `env`. */
  readonly program: string;
  readonly args: readonly string[];
  /** Descriptors by their numbers in the child, which has no others. */
  readonly fds: readonly ChildFd[];
  /** Absolute working directory; null for that of the spawner. */
  readonly workdir: string | null;
  /** Complete environment; null for that of the daemon. */
  readonly env: Readonly<Record<string, string | undefined>> | null;
}

/** Command to the spawner, sent in lists. `id` is unique. */
export type SpawnCommand = SpawnRequest & {
  readonly id: number;
  /** File to which the process writes its identity; then `program` must be an absolute path. Null for none. */
  readonly record: string | null;
};

/** Event from the spawner, sent in lists. The first or the second answers each command; the third follows the first. */
export type SpawnEvent =
  | { readonly type: 'spawned'; readonly id: number; readonly identity: ProcessIdentity }
  /** The process was not started. */
  | { readonly type: 'failed'; readonly id: number; readonly error: string }
  | {
      readonly type: 'ended';
      readonly id: number;
      readonly code: number | null;
      readonly signal: NodeJS.Signals | null;
    };
