/**
 * What the main thread and the spawner say to each other: the process that starts all others, see `workers/spawner.ts`.
 * Messages are JSON, over the channel of child_process.fork.
 */
import type { ProcessIdentity } from '../lib/proc.ts';

/** What a child has for a descriptor: /dev/null, or a FIFO, opened read-write so that it neither waits nor ends. */
export type ChildFd = 'null' | { readonly fifo: string; readonly nonBlocking: boolean };

/** A program to be started, as the leader of a new session and process group. */
export interface SpawnRequest {
  /** An absolute path, or a name that is looked for in the `PATH` of `env`. */
  readonly program: string;
  readonly args: readonly string[];
  /** By their numbers in the child; it has no others. */
  readonly fds: readonly ChildFd[];
  /** Absolute path; null for the spawner's own. */
  readonly workdir: string | null;
  /** All of its variables; null for those of the daemon. */
  readonly env: Readonly<Record<string, string | undefined>> | null;
}

/** To the spawner, which takes lists of them. `id` is new for each. */
export type SpawnCommand = SpawnRequest & { readonly id: number };

/** From the spawner, in lists: each command is answered by the first or the second, the first is followed by the third. */
export type SpawnEvent =
  | { readonly type: 'spawned'; readonly id: number; readonly identity: ProcessIdentity }
  /** Nothing runs. */
  | { readonly type: 'failed'; readonly id: number; readonly error: string }
  | {
      readonly type: 'ended';
      readonly id: number;
      readonly code: number | null;
      readonly signal: NodeJS.Signals | null;
    };
