/**
 * Transient scopes of systemd, systemd.scope(5): a cgroup beside the daemon's own for each service, with limits that systemd
 * keeps. It outlives the daemon. A unit whose own cgroup has children with controllers, as a supervisor without scopes
 * would make them, cannot be started again after a crash by systemd before 254: 219/CGROUP.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { findCgroupFolder, readCgroups, readMounts } from '../../../lib/proc.ts';
import { findProgram } from '../host-tools.ts';
import { type CgroupLimits, weightOfShares } from './cgroup-settings.ts';
import { CONTROLLERS, type Controller } from './host-cgroups.ts';

/** A service manager that makes scopes for this process. */
export interface ScopeManager {
  /** Path of systemd-run(1). */
  readonly program: string;
  /** XDG_RUNTIME_DIR of a user's manager; null for the system's. */
  readonly runtimeDir: string | null;
  /** Folder of the manager's cgroup. */
  readonly dir: string;
  /** Controllers that the manager may use. */
  readonly controllers: readonly Controller[];
  /** Unit of this process, null where it has none. */
  readonly ownUnit: string | null;
}

/** A scope before its first process. */
export interface Scope {
  /** Folder of its cgroup. */
  readonly dir: string;
  readonly runtimeDir: string | null;
  /** systemd-run(1) with its arguments, up to the program. */
  readonly words: readonly string[];
}

/** Places of the parts of {@link findScopeManager}, for tests. */
interface Places {
  readonly procDir?: string;
  readonly runDir?: string;
  readonly uid?: number;
  readonly program?: string | null;
}

/**
 * The manager that makes scopes for this process: for root the system's, except in a session of root's own manager; for
 * others that of their user, where they are in one of its sessions. Null without systemd, see sd_booted(3), and under
 * cgroup v1. Any process.
 */
export function findScopeManager({
  procDir = '/proc',
  runDir = '/run',
  uid = process.getuid?.() ?? 0,
  program = findProgram('systemd-run', ['/usr/bin', '/bin']),
}: Places = {}): ScopeManager | null {
  if (program === null || !existsSync(join(runDir, 'systemd/system'))) return null;
  const own = readCgroups('self', procDir);
  if (own.some(({ controllers }) => CONTROLLERS.some((name) => controllers.includes(name)))) return null;
  const path = own.find(({ isV2 }) => isV2)?.path ?? '';
  const userPath = new RegExp(`^(.*?/user\\.slice/user-${uid}\\.slice)(/(user@${uid}\\.service/)?|$)`).exec(path);
  const isSystem = uid === 0 && userPath?.[3] === undefined;
  if (!isSystem && !userPath) return null;
  const managerPath = isSystem
    ? (/^(.*?)\/(system|user)\.slice(\/|$)/.exec(path)?.[1] ?? '')
    : `${userPath![1]}/user@${uid}.service`;
  const runtimeDir = isSystem ? null : join(runDir, 'user', String(uid));
  if (runtimeDir !== null && !existsSync(join(runtimeDir, 'systemd/private'))) return null;
  const mounts = readMounts(procDir).filter(({ type }) => type === 'cgroup2');
  const dir = findCgroupFolder(mounts, managerPath || '/')?.dir;
  if (dir === undefined || !existsSync(join(dir, 'cgroup.controllers'))) return null;
  const delegated = readFileSync(join(dir, 'cgroup.controllers'), 'utf8').split(/\s+/);
  const controllers = CONTROLLERS.filter((name) => delegated.includes(name));
  const unit = path.split('/').findLast((part) => /\.(service|scope)$/.test(part));
  return { program, runtimeDir, dir, controllers, ownUnit: unit ?? null };
}

/** True for the folder of the cgroup of a scope, which systemd removes once no process is in it. */
export function isScope(dir: string): boolean {
  return dir.endsWith('.scope');
}

/** Folder of the slice with the scopes of one home, which keeps their counters after they are gone. */
function sliceDir({ dir, runtimeDir }: ScopeManager, home: string): string {
  const [top, ...rest] = [runtimeDir === null ? 'system' : 'app', 'monocore', home];
  const names = rest.map((_, index) => `${[top, ...rest.slice(0, index + 1)].join('-')}.slice`);
  return join(dir, `${top}.slice`, ...names);
}

/**
 * Scope of a service. At a shutdown of the host it ends after the daemon's unit, which stops the service in order.
 *
 * @param name name of the cgroup, unique on the host
 * @param home short name of the home
 */
export function renderScope(
  manager: ScopeManager,
  name: string,
  home: string,
  { memoryBytes, cpus, cpuShares }: CgroupLimits,
): Scope {
  const slice = sliceDir(manager, home);
  const daemonUnits = new Set(['monocore.service', manager.ownUnit ?? 'monocore.service']);
  const properties = [
    // systemd leaves what is below it alone, and the death of one process for lack of memory does not end the others.
    'Delegate=yes',
    'TasksMax=infinity',
    'CPUAccounting=yes',
    'MemoryAccounting=yes',
    ...(cpuShares === null ? [] : [`CPUWeight=${weightOfShares(cpuShares)}`]),
    ...(cpus === null ? [] : [`CPUQuota=${Math.round(cpus * 100)}%`]),
    ...(memoryBytes === null ? [] : [`MemoryMax=${memoryBytes}`]),
    ...[...daemonUnits].map((unit) => `Before=${unit}`),
  ];
  return {
    dir: join(slice, `${name}.scope`),
    runtimeDir: manager.runtimeDir,
    words: [
      manager.program,
      ...['--scope', '--quiet', '--collect', `--unit=${name}.scope`, `--slice=${basename(slice)}`],
      ...properties.map((property) => `--property=${property}`),
    ],
  };
}
