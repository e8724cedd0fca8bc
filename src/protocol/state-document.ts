/**
 * The state file of a service, `run/<service>.json`: written by the main thread before the effect that it announces,
 * read by the next daemon. Field names and the shape of `status` are the seed's; the rest is ours.
 */
import * as v from 'valibot';
import { GroupSchema, MetricsSchema, ServiceSchema } from './service.ts';
import { EndedBySchema, EndReasonSchema } from './supervision.ts';

/** As the seed's enum is serialized: a bare name, or an object with the data of the status. */
export const StoredStatusSchema = v.union([
  v.picklist(['Unstarted', 'Starting', 'Started', 'Stopping']),
  v.object({ Stopped: v.object({ exit_code: v.nullable(v.number()) }) }),
  v.object({ Failed: v.object({ error: v.string() }) }),
]);

export const StateDocumentSchema = v.object({
  /** Process to show and to measure. */
  pid: v.nullable(v.number()),
  /** RFC 3339, like all times here. */
  created_at: v.string(),
  modified_at: v.string(),
  service: ServiceSchema,
  group: v.nullable(GroupSchema),
  rootfs_path: v.nullable(v.string()),
  /** Of the manifest of the image that it runs from, or ran from last; null where it has none. */
  image_digest: v.optional(v.nullable(v.string()), null),
  status: StoredStatusSchema,
  metrics: MetricsSchema,
  group_ip: v.nullable(v.string()),
  /** Place of the VM in the network of its group, see `network.ts`; not told by the first versions. */
  group_index: v.optional(v.nullable(v.number()), null),
  kernel: v.nullable(v.string()),
  /** The VM process, recognisable when its pid was reused. */
  process: v.nullable(v.object({ pid: v.number(), start_time: v.number(), boot_id: v.string() })),
  started_at: v.nullable(v.string()),
  stopped_at: v.nullable(v.string()),
  /** How the command ended, also where the service counts as failed. */
  exit: v.nullable(v.object({ code: v.nullable(v.number()), signal: v.nullable(v.string()) })),
  /** What the user wants: a service that should be up is started again by the next daemon, as its policy says. */
  desired: v.optional(v.picklist(['up', 'down']), 'up'),
  /** Restarts that nobody asked for, since the user started the service. */
  restarts: v.number(),
  /** Those since it last ran well for long. */
  restarts_in_row: v.optional(v.number(), 0),
  last_restart_reason: v.optional(v.nullable(v.string()), null),
  /** RFC 3339; when the launch of the run began. */
  launched_at: v.optional(v.nullable(v.string()), null),
  /** Why the run ends or ended, and what made it end; null while it runs. */
  reason: v.optional(v.nullable(EndReasonSchema), null),
  ended_by: v.optional(v.nullable(EndedBySchema), null),
  /** More about the reason, for people. */
  reason_detail: v.optional(v.nullable(v.string()), null),
  /** What its VM said last, where it did not end in order; oldest first. */
  last_lines: v.optional(v.array(v.string()), []),
});
export type SavedState = v.InferOutput<typeof StateDocumentSchema>;
