/**
 * State file of a service, `run/<service>.json`, and the messages of the state worker, which writes it. The main thread
 * saves a state before the effect that it announces; the next daemon reads it. The fields up to `group_ip` and the
 * shape of `status` are those of the Rust version.
 */
import * as v from 'valibot';
import type { WireError } from '../lib/errors.ts';
import { GroupSchema, MetricsSchema, ProjectSchema, ServiceSchema } from './service.ts';
import { EndedBySchema, EndReasonSchema } from './supervision.ts';

/** Rust enum in serde's notation: a bare name, or an object with the data of the status. */
const StoredStatusSchema = v.union([
  v.picklist(['Unstarted', 'Starting', 'Started', 'Stopping']),
  v.object({ Stopped: v.object({ exit_code: v.nullable(v.number()) }) }),
  v.object({ Failed: v.object({ error: v.string() }) }),
]);

/** RFC 3339. */
const TimeSchema = v.pipe(
  v.string(),
  v.check((text) => Number.isFinite(Date.parse(text)), 'it is not a time'),
);

export const SavedStateSchema = v.object({
  /** Process to display and to measure. */
  pid: v.nullable(v.number()),
  created_at: TimeSchema,
  modified_at: TimeSchema,
  service: ServiceSchema,
  group: v.nullable(GroupSchema),
  /** Missing in files of early versions. */
  project: v.optional(v.nullable(ProjectSchema), null),
  /** True if the config of the project no longer declares the service. */
  undeclared: v.optional(v.boolean(), false),
  rootfs_path: v.nullable(v.string()),
  /** Manifest digest of the image used by the current or last run; null without an image. */
  image_digest: v.optional(v.nullable(v.string()), null),
  status: StoredStatusSchema,
  metrics: MetricsSchema,
  group_ip: v.nullable(v.string()),
  /** Index of the VM in the network of its group, see `network.ts`; missing in files of early versions. */
  group_index: v.optional(v.nullable(v.number()), null),
  kernel: v.nullable(v.string()),
  /** VM process. The start time and the boot id distinguish it from a later process with the same pid. */
  process: v.nullable(v.object({ pid: v.number(), start_time: v.number(), boot_id: v.string() })),
  started_at: v.nullable(TimeSchema),
  stopped_at: v.nullable(TimeSchema),
  /** Exit of the command, even if the service counts as failed. */
  exit: v.nullable(v.object({ code: v.nullable(v.number()), signal: v.nullable(v.string()) })),
  /** The user's intention: the next daemon starts a service that should be up, if its restart policy allows it. */
  desired: v.optional(v.picklist(['up', 'down']), 'up'),
  /** Automatic restarts since the user started the service. */
  restarts: v.number(),
  /** Automatic restarts since its last long and healthy run. */
  restarts_in_row: v.optional(v.number(), 0),
  last_restart_reason: v.optional(v.nullable(v.string()), null),
  launched_at: v.optional(v.nullable(TimeSchema), null),
  /** Reason for the end of the run and the step that ended it; null while it is running. */
  reason: v.optional(v.nullable(EndReasonSchema), null),
  ended_by: v.optional(v.nullable(EndedBySchema), null),
  /** Details of the reason, for people. */
  reason_detail: v.optional(v.nullable(v.string()), null),
  /** Last lines of a failed run, oldest first: output of the service, or else of the console. */
  last_lines: v.optional(v.array(v.string()), []),
});
export type SavedState = v.InferOutput<typeof SavedStateSchema>;

export type FileChange =
  | {
      readonly type: 'write';
      /** Absolute path in an existing folder. */
      readonly path: string;
      /** Content as text, which is cheaper for the main thread to transfer than the original object. */
      readonly text: string;
      /** True: the change is acknowledged only once the content is on disk, see fsync(2). */
      readonly durable: boolean;
    }
  /** Removes the file, if it exists, and a temporary file left by a crash. */
  | { readonly type: 'remove'; readonly path: string };

/** Commands of the main thread to the state worker. Exposed with comlink. */
export interface StateApi {
  /**
   * Makes the changes: at most one per path, and none for a path whose last change is still pending. Never throws.
   * Returns null for each, or the reason for its failure; the file then has its old content.
   */
  change(changes: readonly FileChange[]): Promise<(WireError | null)[]>;
}

/** Temporary file that is renamed to `path` once it is complete; the next write overwrites a leftover one. */
export function asideOf(path: string): string {
  return `${path}.tmp`;
}
