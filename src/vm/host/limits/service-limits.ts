/** Limits of services, as far as the host offers them. Main thread. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import writeFileAtomic from 'write-file-atomic';
import { errorText } from '../../../lib/errors.ts';
import type { Service } from '../../../protocol/service.ts';
import type { HomePaths } from '../../../state/paths.ts';
import { makeCgroup, openPlaces, removeCgroup, writeSettings } from './cgroup.ts';
import { type CgroupLimits, type CgroupSetting, needsController, renderSettings } from './cgroup-settings.ts';
import { CONTROLLERS, type Controller, findHostCgroups, type HostCgroups } from './host-cgroups.ts';
import { type Command, grantOpenFiles, wrapCommand } from './launcher.ts';

/** `run/<service>/limits.json`: limits of a launched service, for a later daemon. */
const RecordSchema = v.object({
  cgroups: v.array(v.string()),
  notes: v.array(v.string()),
  open_files: v.nullable(v.number()),
});
type LimitRecord = v.InferOutput<typeof RecordSchema>;

/** Limits that a service has. */
export interface AppliedLimits {
  /** Limits that it asked for and does not have, each with the reason, for people. */
  readonly notes: readonly string[];
  /**
   * Wraps `command` so that it runs within the limits, in the same process.
   *
   * @param fileBytes RLIMIT_FSIZE of the process, see {@link wrapCommand}; none leaves it
   */
  wrap(command: Command, fileBytes?: number): Command;
  /** As {@link AppliedLimits.wrap} without `open_files`: for a helper beside the process of the service. */
  join(command: Command): Command;
}

function toApplied({ cgroups, notes, open_files }: LimitRecord): AppliedLimits {
  return {
    notes,
    wrap: (command, fileBytes) => wrapCommand(command, open_files, cgroups, fileBytes),
    join: (command) => wrapCommand(command, null, cgroups),
  };
}

/** Note on the limits that a missing controller leaves unenforced. */
function describeMissing(controller: Controller, limits: CgroupLimits, reason: string): string {
  if (controller === 'memory') return `the memory of its process is not limited: ${reason}`;
  if (limits.cpuShares === null) return `cpus does not limit its process: ${reason}`;
  return `cpu_shares${limits.cpus === null ? ' has' : ' and cpus have'} no effect: ${reason}`;
}

/** Sets and removes the limits of the services of one home. */
export class ServiceLimits {
  readonly #paths: HomePaths;
  readonly #find: () => HostCgroups;
  #places: Promise<HostCgroups> | null = null;

  /** @param find inspects the host; called for the first service that needs it, because it may move the daemon */
  constructor(paths: HomePaths, find: () => HostCgroups = findHostCgroups) {
    this.#paths = paths;
    this.#find = find;
  }

  /**
   * Prepares the limits of a service before its launch; its runtime folder exists. Notes name those that the host does
   * not offer.
   *
   * @param wanted limits that need a cgroup
   * @throws the system's error when the record of it cannot be written
   */
  async apply({ name, open_files }: Service, wanted: CgroupLimits): Promise<AppliedLimits> {
    const openFiles = grantOpenFiles(open_files);
    const notes = openFiles.note === null ? [] : [openFiles.note];
    const plan = await this.#plan(name, wanted, notes);
    const record = { cgroups: [...plan.keys()], notes, open_files: openFiles.count };
    if (plan.size === 0 && notes.length === 0 && openFiles.count === null) return toApplied(record);
    // Recorded before they are made, so that the next daemon knows all that a killed one left.
    await this.#write(name, record);
    for (const [dir, settings] of plan) {
      try {
        await makeCgroup(dir);
        notes.push(...(await writeSettings(dir, settings)));
      } catch (error) {
        notes.push(`its process is not limited: ${errorText(error)}`);
        plan.delete(dir);
      }
    }
    const made = { ...record, cgroups: [...plan.keys()] };
    await this.#write(name, made);
    return toApplied(made);
  }

  /** Limits of a service that an earlier daemon launched. */
  async recall(service: string): Promise<AppliedLimits> {
    return toApplied(await this.#read(service));
  }

  /** Removes the cgroups of a service that has ended, before its runtime folder goes. */
  async release(service: string): Promise<void> {
    const { cgroups } = await this.#read(service);
    await Promise.all(cgroups.map(removeCgroup));
  }

  /** Unique among the homes of a host, which may share a parent. */
  #cgroupName(service: string): string {
    const home = createHash('sha256').update(this.#paths.home).digest('hex').slice(0, 8);
    return `monocore-${home}-${service}`;
  }

  /** Settings by cgroup: v2 has one for all controllers, v1 may have. Missing controllers go to `notes`. */
  async #plan(service: string, wanted: CgroupLimits, notes: string[]): Promise<Map<string, CgroupSetting[]>> {
    const plan = new Map<string, CgroupSetting[]>();
    for (const controller of CONTROLLERS.filter((candidate) => needsController(candidate, wanted))) {
      this.#places ??= openPlaces(this.#find());
      const place = (await this.#places)[controller];
      if (place.type === 'unusable') {
        notes.push(describeMissing(controller, wanted, place.reason));
        continue;
      }
      const dir = join(place.dir, this.#cgroupName(service));
      plan.set(dir, [...(plan.get(dir) ?? []), ...renderSettings(place.version, controller, wanted)]);
    }
    return plan;
  }

  async #write(service: string, record: LimitRecord): Promise<void> {
    await writeFileAtomic(this.#paths.vm(service).limits, JSON.stringify(record), { mode: 0o600, fsync: false });
  }

  /** Without a record, a service has no limits. */
  async #read(service: string): Promise<LimitRecord> {
    const text = await readFile(this.#paths.vm(service).limits, 'utf8').catch(() => '');
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), RecordSchema), text);
    return parsed.success ? parsed.output : { cgroups: [], notes: [], open_files: null };
  }
}
