/** Resource limits of services, as far as the host supports them. Main thread. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as v from 'valibot';
import writeFileAtomic from 'write-file-atomic';
import { errorTextWithPath } from '../../../lib/errors.ts';
import { readBounded } from '../../../lib/files.ts';
import { MAX_BYTES } from '../../../protocol/input.ts';
import type { Service } from '../../../protocol/service.ts';
import type { HomePaths } from '../../../state/paths.ts';
import { endScope, killMembers, makeCgroup, openPlaces, removeCgroup, writeSettings } from './cgroup.ts';
import { type CgroupLimits, type CgroupSetting, needsController, renderSettings } from './cgroup-settings.ts';
import { type CgroupPlace, CONTROLLERS, type Controller, findHostCgroups, type HostCgroups } from './host-cgroups.ts';
import { type Command, grantOpenFiles, wrapCommand, wrapInScope } from './launcher.ts';
import { OomKills } from './oom-kills.ts';
import { findScopeManager, isScope, renderScope, type Scope, type ScopeManager } from './systemd-scope.ts';

/** `run/<service>/limits.json`: limits of a launched service, for a later daemon. */
const RecordSchema = v.object({
  cgroups: v.array(v.string()),
  notes: v.array(v.string()),
  open_files: v.nullable(v.number()),
  memory_bytes: v.optional(v.nullable(v.number()), null),
});
type LimitRecord = v.InferOutput<typeof RecordSchema>;

/**
 * Limits that a service has. Each method wraps a command so that it runs in the service's cgroups, in the same process.
 */
export interface AppliedLimits {
  /** Limits that it asked for but does not have, each with the reason, for people. */
  readonly notes: readonly string[];
  /** Wraps the main process of the service. */
  launch(command: Command): Command;
  /** Wraps a helper that starts before or together with the service; `open_files` does not apply. */
  assist(command: Command): Command;
  /** Wraps a command that runs in the service after its start. */
  join(command: Command): Command;
}

/** Combines the parts. @param scope created by the first process; null if there is none or it already exists */
function toApplied({ cgroups, notes, open_files }: LimitRecord, scope: Scope | null = null): AppliedLimits {
  const start = (command: Command, openFiles: number | null): Command =>
    scope ? wrapInScope(wrapCommand(command, openFiles, []), scope) : wrapCommand(command, openFiles, cgroups);
  return {
    notes,
    launch: (command) => start(command, open_files),
    assist: (command) => start(command, null),
    join: (command) => wrapCommand(command, open_files, cgroups),
  };
}

/** Note on limits that are not enforced because a controller is missing. */
function describeMissing(controller: Controller, limits: CgroupLimits, reason: string): string {
  if (controller === 'memory') return `the memory of its process is not limited: ${reason}`;
  if (limits.cpuShares === null) return `cpus does not limit its process: ${reason}`;
  return `cpu_shares${limits.cpus === null ? ' has' : ' and cpus have'} no effect: ${reason}`;
}

/** Facilities of the host for limits; determined when the first service needs them. */
export interface LimitsHost {
  readonly findManager: () => ScopeManager | null;
  /** Afterwards, the daemon may move to a cgroup of its own. */
  readonly findCgroups: () => HostCgroups;
}

const REAL_HOST: LimitsHost = { findManager: findScopeManager, findCgroups: findHostCgroups };

/**
 * Sets and removes the limits of the services of one home. If the host supports cgroups, each service has them even
 * without limits: they measure its memory and help to end the processes that it leaves behind.
 */
export class ServiceLimits {
  readonly #paths: HomePaths;
  readonly #host: LimitsHost;
  readonly #oomKills = new OomKills();
  #manager: ScopeManager | null | undefined;
  #places: Promise<HostCgroups> | null = null;

  constructor(paths: HomePaths, host: LimitsHost = REAL_HOST) {
    this.#paths = paths;
    this.#host = host;
  }

  /**
   * Prepares the limits of a service before its launch; its runtime folder must exist. The notes list those that the
   * host does not support.
   *
   * @param wanted limits that need a cgroup
   * @throws the system error if the record cannot be written
   */
  async apply({ name, open_files }: Service, wanted: CgroupLimits): Promise<AppliedLimits> {
    const openFiles = grantOpenFiles(open_files);
    const notes = openFiles.note === null ? [] : [openFiles.note];
    const scope = this.#renderScope(name, wanted, notes);
    const plan = scope ? new Map([[scope.dir, []]]) : await this.#plan(name, wanted, notes);
    const memory_bytes = wanted.memoryBytes;
    const record = { cgroups: [...plan.keys()], notes, open_files: openFiles.count, memory_bytes };
    if (plan.size === 0 && notes.length === 0 && openFiles.count === null) return toApplied(record);
    // Recorded before they are created, so that the next daemon can find everything that a killed one left behind.
    await this.#write(name, record);
    if (scope) await endScope(scope.dir);
    else await this.#make(plan, notes);
    const made = { ...record, cgroups: [...plan.keys()] };
    await this.#write(name, made);
    this.#oomKills.watch(made.cgroups);
    return toApplied(made, scope);
  }

  /** Limits of a service launched by an earlier daemon. */
  async recall(service: string): Promise<AppliedLimits> {
    const record = await this.#read(service);
    this.#oomKills.watch(record.cgroups);
    return toApplied(record);
  }

  /** Memory limit in bytes that the processes of a service have reached; null if they have not. */
  async findExceeded(service: string): Promise<number | null> {
    const { cgroups, memory_bytes } = await this.#read(service);
    return this.#oomKills.happenedIn(cgroups) ? memory_bytes : null;
  }

  /** Kills the processes that an ended service left behind. */
  async killLeft(service: string): Promise<void> {
    const { cgroups } = await this.#read(service);
    await Promise.all(cgroups.map(killMembers));
  }

  /**
   * Removes the cgroups of an ended service with the processes in them. Must precede the removal of its runtime folder.
   */
  async release(service: string): Promise<void> {
    const { cgroups } = await this.#read(service);
    this.#oomKills.forget(cgroups);
    await Promise.all(cgroups.map((dir) => (isScope(dir) ? endScope(dir) : removeCgroup(dir))));
  }

  /** Unique name of the home, because several homes of a host may share a parent cgroup. */
  get #homeName(): string {
    return createHash('sha256').update(this.#paths.home).digest('hex').slice(0, 8);
  }

  #cgroupName(service: string): string {
    return `monocore-${this.#homeName}-${service}`;
  }

  /** Scope of the service; null if no manager creates scopes. Missing controllers are added to `notes`. */
  #renderScope(service: string, wanted: CgroupLimits, notes: string[]): Scope | null {
    if (this.#manager === undefined) this.#manager = this.#host.findManager();
    const manager = this.#manager;
    if (!manager) return null;
    for (const controller of CONTROLLERS) {
      if (manager.controllers.includes(controller) || !needsController(controller, wanted)) continue;
      notes.push(describeMissing(controller, wanted, `it is not delegated to ${manager.dir}`));
    }
    return renderScope(manager, this.#cgroupName(service), this.#homeName, wanted);
  }

  /**
   * Settings by cgroup: v2 has one cgroup for all controllers, v1 may have several. Missing controllers are added to
   * `notes`.
   */
  async #plan(service: string, wanted: CgroupLimits, notes: string[]): Promise<Map<string, CgroupSetting[]>> {
    const plan = new Map<string, CgroupSetting[]>();
    this.#places ??= openPlaces(this.#host.findCgroups());
    for (const [controller, place] of Object.entries(await this.#places) as [Controller, CgroupPlace][]) {
      const isNeeded = needsController(controller, wanted);
      if (place.type === 'unusable') {
        if (isNeeded) notes.push(describeMissing(controller, wanted, place.reason));
        continue;
      }
      // One is enough to measure its memory and to find the processes that it leaves behind.
      if (!isNeeded && controller !== 'memory') continue;
      const dir = join(place.dir, this.#cgroupName(service));
      plan.set(dir, [...(plan.get(dir) ?? []), ...renderSettings(place.version, controller, wanted)]);
    }
    return plan;
  }

  /** Creates the cgroups; those that cannot be created are removed from the plan and added to `notes`. */
  async #make(plan: Map<string, CgroupSetting[]>, notes: string[]): Promise<void> {
    for (const [dir, settings] of plan) {
      try {
        await makeCgroup(dir);
        notes.push(...(await writeSettings(dir, settings)));
      } catch (error) {
        if (settings.length > 0) notes.push(`its process is not limited: ${errorTextWithPath(error)}`);
        plan.delete(dir);
      }
    }
  }

  async #write(service: string, record: LimitRecord): Promise<void> {
    await writeFileAtomic(this.#paths.vm(service).limits, JSON.stringify(record), { mode: 0o600, fsync: false });
  }

  /** Reads the record of a service; without a record it has no limits. */
  async #read(service: string): Promise<LimitRecord> {
    const text = await readBounded(this.#paths.vm(service).limits, MAX_BYTES.record).catch(() => '');
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), RecordSchema), text);
    return parsed.success ? parsed.output : { cgroups: [], notes: [], open_files: null, memory_bytes: null };
  }
}
