/**
 * Transient scopes of systemd, systemd.scope(5): for each service a cgroup beside that of the daemon, with limits
 * enforced through systemd. A scope outlives the daemon. Without scopes, the daemon's own cgroup would have children
 * with controllers, and systemd before 254 cannot restart such a unit after a crash: 219/CGROUP.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { findCgroupFolder, readCgroups, readMounts } from '../../../lib/proc.ts';
import { findProgram } from '../host-tools.ts';
import { type CgroupLimits, weightOfShares } from './cgroup-settings.ts';
import { CONTROLLERS, type Controller } from './host-cgroups.ts';

/** Service manager that creates scopes for this process. */
export interface ScopeManager {
  /** Path of systemd-run(1). */
  readonly program: string;
  /** XDG_RUNTIME_DIR of a user's manager; null for the system manager. */
  readonly runtimeDir: string | null;
  /** Folder of the manager's cgroup. */
  readonly dir: string;
  /** Controllers available to the manager. */
  readonly controllers: readonly Controller[];
  /** Unit of this process; null if it has none. */
  readonly ownUnit: string | null;
}

/** Scope that has no process yet. */
export interface Scope {
  /** Folder of its cgroup. */
  readonly dir: string;
  readonly runtimeDir: string | null;
  /** systemd-run(1) with its arguments, to be followed by the program. */
  readonly words: readonly string[];
}

/** Paths used by {@link findScopeManager}; tests replace them. */
interface Places {
  readonly procDir?: string;
  readonly runDir?: string;
  readonly uid?: number;
  readonly program?: string | null;
}

/**
 * Manager that creates scopes for this process: for root the system manager, except in a session of root's own manager;
 * for other users their own manager, if the process is in one of its sessions. Null without systemd, see sd_booted(3),
 * and with cgroup v1. Any process.
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

/** True for the cgroup folder of a scope, which systemd removes when the last process has left it. */
export function isScope(dir: string): boolean {
  return dir.endsWith('.scope');
}

/** Folder of the slice that contains the scopes of one home and keeps their counters after they are gone. */
function sliceDir({ dir, runtimeDir }: ScopeManager, home: string): string {
  const [top, ...rest] = [runtimeDir === null ? 'system' : 'app', 'monocore', home];
  const names = rest.map((_, index) => `${[top, ...rest.slice(0, index + 1)].join('-')}.slice`);
  return join(dir, `${top}.slice`, ...names);
}

/**
 * Scope for a service. When the host shuts down, it ends after the daemon's unit, which stops the service in an orderly
 * way.
 *
 * @param name of the cgroup, unique on the host
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
    // systemd does not touch cgroups below it, and if one process runs out of memory, the others are not ended.
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
      // By default the command line: systemd writes its line breaks into the unit's file, and it may hold secrets.
      '--description=Service of monocore',
      ...['--scope', '--quiet', '--collect', `--unit=${name}.scope`, `--slice=${basename(slice)}`],
      ...properties.map((property) => `--property=${property}`),
    ],
  };
}
