/**
 * The state file of a service, `run/<service>.json`: written by the main thread before the effect that it announces,
 * read by the next daemon. Field names and the shape of `status` are the seed's; the rest is ours.
 */
import * as v from 'valibot';
import { GroupSchema, MetricsSchema, ServiceSchema } from './service.ts';

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
  status: StoredStatusSchema,
  metrics: MetricsSchema,
  group_ip: v.nullable(v.string()),
  kernel: v.nullable(v.string()),
  /** The VM process, recognisable when its pid was reused. */
  process: v.nullable(v.object({ pid: v.number(), start_time: v.number(), boot_id: v.string() })),
  started_at: v.nullable(v.string()),
  stopped_at: v.nullable(v.string()),
  /** How the command ended, also where the service counts as failed. */
  exit: v.nullable(v.object({ code: v.nullable(v.number()), signal: v.nullable(v.string()) })),
  restarts: v.number(),
});
export type StateDocument = v.InferOutput<typeof StateDocumentSchema>;
