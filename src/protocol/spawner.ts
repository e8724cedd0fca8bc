/** JSON messages to and from the spawner, the process that starts all others, over child_process.fork's channel. */
import type { ProcessIdentity } from '../lib/proc.ts';

/** Descriptor of a child: /dev/null, or a FIFO that is opened read-write, so that it neither blocks nor ends. */
export type ChildFd = 'null' | { readonly fifo: string; readonly nonBlocking: boolean };

/** A program to be started, as the leader of a new session and process group. */
export interface SpawnRequest {
  /** An absolute path, or a name that is looked for in the `PATH` of `env`. */
  readonly program: string;
  readonly args: readonly string[];
  /** By their numbers in the child, which has no others. */
  readonly fds: readonly ChildFd[];
  /** Absolute path; null for the spawner's own. */
  readonly workdir: string | null;
  /** The whole environment; null for the daemon's. */
  readonly env: Readonly<Record<string, string | undefined>> | null;
}

/** To the spawner, which takes lists of them. `id` is new for each. */
export type SpawnCommand = SpawnRequest & {
  readonly id: number;
  /** Path of the file in which the process notes its identity, with an absolute path of the program; null for none. */
  readonly record: string | null;
};

/** From the spawner, in lists: each command is answered by the first or the second, the first is followed by the third. */
export type SpawnEvent =
  | { readonly type: 'spawned'; readonly id: number; readonly identity: ProcessIdentity }
  /** No process runs. */
  | { readonly type: 'failed'; readonly id: number; readonly error: string }
  | {
      readonly type: 'ended';
      readonly id: number;
      readonly code: number | null;
      readonly signal: NodeJS.Signals | null;
    };
