/**
 * The state file of a service, `run/<service>.json`, and the messages of the state worker, which writes it. The main thread
 * saves a state before the effect that it announces; the next daemon reads it. The names of the fields up to `group_ip`,
 * and the shape of `status`, are those of the original monocore.
 */
import * as v from 'valibot';
import type { WireError } from '../lib/errors.ts';
import { GroupSchema, MetricsSchema, ProjectSchema, ServiceSchema } from './service.ts';
import { EndedBySchema, EndReasonSchema } from './supervision.ts';

/** A Rust enum as serde writes it: a bare name, or an object with the data of the status. */
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
  /** Process to show and to measure. */
  pid: v.nullable(v.number()),
  created_at: TimeSchema,
  modified_at: TimeSchema,
  service: ServiceSchema,
  group: v.nullable(GroupSchema),
  /** Missing in files of the first versions. */
  project: v.optional(v.nullable(ProjectSchema), null),
  /** True when the config of the project no longer declares the service. */
  undeclared: v.optional(v.boolean(), false),
  rootfs_path: v.nullable(v.string()),
  /** Manifest digest of the image of the current or last run; null without an image. */
  image_digest: v.optional(v.nullable(v.string()), null),
  status: StoredStatusSchema,
  metrics: MetricsSchema,
  group_ip: v.nullable(v.string()),
  /** Place of the VM in the network of its group, see `network.ts`; missing in files of the first versions. */
  group_index: v.optional(v.nullable(v.number()), null),
  kernel: v.nullable(v.string()),
  /** The VM process. The start time and the boot id tell it from a later process with its pid. */
  process: v.nullable(v.object({ pid: v.number(), start_time: v.number(), boot_id: v.string() })),
  started_at: v.nullable(TimeSchema),
  stopped_at: v.nullable(TimeSchema),
  /** Exit of the command, also of a service that counts as failed. */
  exit: v.nullable(v.object({ code: v.nullable(v.number()), signal: v.nullable(v.string()) })),
  /** The user's wish: the next daemon starts a service that should be up, as its restart policy allows. */
  desired: v.optional(v.picklist(['up', 'down']), 'up'),
  /** Automatic restarts since the user started the service. */
  restarts: v.number(),
  /** Automatic restarts since it last ran well for long. */
  restarts_in_row: v.optional(v.number(), 0),
  last_restart_reason: v.optional(v.nullable(v.string()), null),
  launched_at: v.optional(v.nullable(TimeSchema), null),
  /** Reason for the end of the run, and the step of the stop that ended it; null while it runs. */
  reason: v.optional(v.nullable(EndReasonSchema), null),
  ended_by: v.optional(v.nullable(EndedBySchema), null),
  /** More about the reason, for people. */
  reason_detail: v.optional(v.nullable(v.string()), null),
  /** Last lines of a run that failed, oldest first: those of the service, or else of the console. */
  last_lines: v.optional(v.array(v.string()), []),
});
export type SavedState = v.InferOutput<typeof SavedStateSchema>;

export type FileChange =
  | {
      readonly type: 'write';
      /** Absolute, in an existing folder. */
      readonly path: string;
      /** Text costs the main thread less to hand over than the object that it was made of. */
      readonly text: string;
      /** True: the change is answered once the content is on disk, see fsync(2). */
      readonly durable: boolean;
    }
  /** Removes the file, which may be missing, and the temporary file that a crash may have left. */
  | { readonly type: 'remove'; readonly path: string };

/** Commands of the main thread to the state worker. Exposed with comlink. */
export interface StateApi {
  /**
   * Makes the changes: at most one for each path, and none for a path whose last change is not answered yet. Never throws.
   * Answers each with null, or the reason for its failure; the file then has its old content.
   */
  change(changes: readonly FileChange[]): Promise<(WireError | null)[]>;
}

/** Temporary file that takes the name of `path` once it is complete; the next write overwrites a leftover. */
export function asideOf(path: string): string {
  return `${path}.tmp`;
}
