/** Limits of services: what a service asks for, within what the host offers. Main thread. */
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

/** `run/<service>/limits.json`: what a service was launched with, for a later daemon. */
const RecordSchema = v.object({
  cgroups: v.array(v.string()),
  notes: v.array(v.string()),
  open_files: v.nullable(v.number()),
});
type LimitRecord = v.InferOutput<typeof RecordSchema>;

/** Limits that a service has. */
export interface AppliedLimits {
  /** What it asked for and does not have, each with the reason, for people. */
  readonly notes: readonly string[];
  /** The command that runs `command` within the limits, in the same process. */
  wrap(command: Command): Command;
  /** As {@link AppliedLimits.wrap}, but for `open_files`: for what works for the service beside its process. */
  join(command: Command): Command;
}

const NOTHING: LimitRecord = { cgroups: [], notes: [], open_files: null };

function toApplied({ cgroups, notes, open_files }: LimitRecord): AppliedLimits {
  return {
    notes,
    wrap: (command) => wrapCommand(command, open_files, cgroups),
    join: (command) => wrapCommand(command, null, cgroups),
  };
}

/** What is not enforced where a controller is missing. */
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

  /** @param find looks at the host; when the first service needs it, because that may move the daemon */
  constructor(paths: HomePaths, find: () => HostCgroups = findHostCgroups) {
    this.#paths = paths;
    this.#find = find;
  }

  /**
   * Makes what the limits of a service need, before its launch; its runtime folder is there. What cannot be had is in
   * the notes.
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
    // Before they are made, so that a daemon that is killed leaves none that the next one does not know of.
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

  /** The limits that a service was launched with. */
  async recall(service: string): Promise<AppliedLimits> {
    return toApplied(await this.#read(service));
  }

  /** Removes what was made for a service that has ended, before its runtime folder goes. */
  async release(service: string): Promise<void> {
    const { cgroups } = await this.#read(service);
    await Promise.all(cgroups.map(removeCgroup));
  }

  /** Homes of one host may share a parent. */
  #cgroupName(service: string): string {
    const home = createHash('sha256').update(this.#paths.home).digest('hex').slice(0, 8);
    return `monocore-${home}-${service}`;
  }

  /** What is written to which cgroup: v2 has one for all controllers, v1 may have. What is missing goes to `notes`. */
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
    return parsed.success ? parsed.output : NOTHING;
  }
}
