/** Checks everything that monocore needs on the host and gives a remedy for each finding. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { freemem, totalmem, userInfo } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { errorCode, errorTextWithPath } from '../lib/errors.ts';
import { formatSize } from '../lib/units.ts';
import type { HostLimits } from '../protocol/http.ts';
import { HomePaths, MAX_SOCKET_PATH_BYTES } from '../state/paths.ts';
import { makeHome } from '../state/store.ts';
import { JobPool } from '../threads/job-pool.ts';
import { findKernel, type Kernel } from '../vm/guest/kernel.ts';
import {
  findMkfs,
  findQemu,
  findSetpriv,
  findStaticBusybox,
  findVirtiofsd,
  hostArchitecture,
  PACKAGES,
  readQemuVersion,
} from '../vm/host/host-tools.ts';
import { describeHostLimits } from '../vm/host/limits/host-limits.ts';
import { identifyVirtiofsd } from '../vm/host/virtiofsd.ts';
import { findJailKind, findWayOut, type JailKind } from '../vm/qemu/jail/jail.ts';
import { groupObstacle, preparePlatform } from '../vm/qemu/platform.ts';

/** Wanted limit on open files: per VM, the daemon needs about 20 descriptors during the start and 6 afterwards. */
const WANTED_OPEN_FILES = 4096;
/** Length of a service's socket path below the home, without the name of the service. */
const SERVICE_SOCKET_BYTES = '/run//control.sock'.length;
/** Usual maximum length of service names; the limit is 63 bytes, but few are longer than this. */
const USUAL_NAME_BYTES = 40;

/** Result of a check. `--json` prints it unchanged. */
export interface Check {
  readonly name: string;
  /** `warning`: VMs run, but slower or with fewer features. `failed`: they do not run. */
  readonly state: 'ok' | 'warning' | 'failed';
  /** Text for people. */
  readonly finding: string;
  /** Remedy; null where none is needed. */
  readonly advice: string | null;
}

/** A result without the name of its check. */
type Finding = Omit<Check, 'name'>;

function ok(finding: string): Finding {
  return { state: 'ok', finding, advice: null };
}

function warn(finding: string, advice: string): Finding {
  return { state: 'warning', finding, advice };
}

/** Splits `<finding>; <remedy>` at the first semicolon, the form of monocore's messages. */
function failed(error: unknown, state: 'warning' | 'failed' = 'failed'): Finding {
  const [finding, ...advice] = errorTextWithPath(error).split('; ');
  return { state, finding: finding!, advice: advice.length > 0 ? advice.join('; ') : null };
}

/** Result of `monocore doctor`, as printed by `--json`. */
export interface DoctorReport {
  /** True if no check failed. */
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

async function checkHome(paths: HomePaths): Promise<Finding> {
  const nameBytes = MAX_SOCKET_PATH_BYTES - Buffer.byteLength(paths.home) - SERVICE_SOCKET_BYTES;
  await makeHome(paths);
  if (nameBytes >= USUAL_NAME_BYTES) return ok(`${paths.home} can be written`);
  return warn(
    `${paths.home} is long: sockets of services with names above ${nameBytes} bytes do not fit`,
    'choose a shorter home with --home or MONOCORE_HOME',
  );
}

async function checkAccelerator(paths: HomePaths): Promise<Finding> {
  const pool = new JobPool();
  try {
    const { verdict } = await preparePlatform(paths, null, (job) => pool.run(job));
    if (verdict.accelerator === 'kvm') return ok(`KVM: ${verdict.reason}`);
    const remedy = verdict.tested
      ? "this host's KVM cannot run the guest's kernel, as in some nested virtual machines"
      : 'on a host with KVM give your user access to /dev/kvm';
    return warn(`TCG, software emulation: ${verdict.reason}`, `VMs run, several times slower; ${remedy}`);
  } finally {
    await pool.close();
  }
}

async function checkQemu(program: string): Promise<Finding> {
  const version = await readQemuVersion(program);
  const obstacle = groupObstacle(version);
  if (obstacle === null) return ok(`${program}, version ${version}`);
  const effect = 'services of a group cannot reach each other by name, and UDP ports stay closed';
  return warn(obstacle, `until QEMU is upgraded, ${effect}`);
}

function checkOpenFiles({ open_files }: HostLimits): Finding {
  if (open_files === null || open_files >= WANTED_OPEN_FILES) return ok(`${open_files ?? 'unlimited'} open files`);
  return warn(`only ${open_files} open files are allowed`, `raise the limit: ulimit -n ${WANTED_OPEN_FILES}`);
}

/** Checks the limit on file sizes: logs, disks and images are files of the daemon and of the VMs. */
function checkFileSize({ file_bytes = null }: HostLimits): Finding {
  if (file_bytes === null) return ok('files may have any size');
  return warn(`files end at ${formatSize(file_bytes)}`, 'raise the limit: ulimit -f unlimited');
}

/**
 * Checks that services can share files of the host: rootfs and volumes.
 *
 * @param uid user of the future daemon
 * @param unshare program and arguments that create a mount namespace and exit at once
 * @throws MonocoreError `ToolMissing`, `StartFailed`
 */
export async function checkFileSharing(
  uid = process.getuid?.(),
  unshare: readonly [string, ...string[]] = ['unshare', '-m', 'mount', '--version'],
): Promise<Finding> {
  const program = findVirtiofsd();
  const kind = await identifyVirtiofsd(program);
  if (uid !== 0) {
    return warn(
      `${program}, but only root can share files`,
      'for services with rootfs or volumes start the daemon as root',
    );
  }
  const [command, ...args] = unshare;
  try {
    await promisify(execFile)(command, args);
  } catch (error) {
    const [reason = ''] = ((error as { stderr?: string }).stderr?.trim() || errorTextWithPath(error)).split('\n');
    const advice =
      'for rootfs and volumes the daemon needs unshare and mount (of util-linux) and the right to create mount namespaces; in a ' +
      'container give it CAP_SYS_ADMIN';
    return warn(`no mount namespace can be created: ${reason}`, advice);
  }
  const delay = kind === 'c' ? 'at once' : 'within a second';
  return ok(`${program}, for rootfs and volumes; guests see changes of the host ${delay}`);
}

/**
 * Kernel modules that the guest's agent loads for an image: for the root disk, its file system and the writable layer
 * above.
 */
const IMAGE_MODULES = ['virtio_blk', 'erofs', 'overlay'];

/** Checks that a kernel can mount the roots of images. This needs neither a program of the host nor root. */
export function checkImages({ release, modulesDir }: Kernel): Finding {
  const list = IMAGE_MODULES.join(', ');
  if (modulesDir === null) return ok(`${release} has no modules: ${list} must be built in`);
  const known = new Set([...listModules(modulesDir), ...listBuiltIn(modulesDir)]);
  const missing = IMAGE_MODULES.filter((name) => !known.has(name));
  if (missing.length === 0) return ok(`${release} has ${list}`);
  return warn(
    `the kernel ${release} has no ${missing.join(', ')}, so no service with an image starts`,
    `use another kernel, such as that of the package ${PACKAGES[hostArchitecture()].kernel}`,
  );
}

function listModules(modulesDir: string): string[] {
  return readdirSync(join(modulesDir, 'kernel'), { recursive: true, encoding: 'utf8' }).map(moduleName);
}

/** Entries of `modules.builtin`, see modprobe(8); without that file no module is known to be built in. */
function listBuiltIn(modulesDir: string): string[] {
  try {
    return readFileSync(join(modulesDir, 'modules.builtin'), 'utf8').split('\n').map(moduleName);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Name of a module in the kernel's spelling, with underscores. */
function moduleName(path: string): string {
  return basename(path)
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');
}

const NO_CGROUP_ADVICE =
  'without it, memory of VMs, cpus and cpu_shares are not enforced; run the daemon as a service of systemd (monocore ' +
  'daemon install), or as root where /sys/fs/cgroup can be written';

/** Checks that resource limits can be enforced. */
export function checkCgroups({ places, obstacles }: HostLimits): Finding {
  return obstacles.length === 0 ? ok(places.join(', ')) : warn(obstacles.join('; '), NO_CGROUP_ADVICE);
}

const NO_JAIL_ADVICE =
  'VMs run, but a guest that breaks out of QEMU has the rights of the daemon; allow user namespaces to this user, or ' +
  'give the daemon root with CAP_SYS_ADMIN';

/** Checks the jail in which each QEMU runs. @param kind as a daemon started from this shell would find it */
export function checkJail({ namespaces, obstacle }: JailKind): Finding {
  const what = 'no capabilities, private mount, pid, ipc, uts and net namespaces';
  if (namespaces === 'host') return ok(`each QEMU has a user of its own, ${what}`);
  if (namespaces === 'user') return ok(`each QEMU has ${what}; as ${obstacle}, it has this user`);
  return warn(`QEMU sees the host as the daemon does: ${obstacle}`, NO_JAIL_ADVICE);
}

/** Checks that services can run as other users. @param uid user of the future daemon */
export function checkUsers(uid = process.getuid?.()): Finding {
  if (uid !== 0) {
    return warn(
      `services run as ${userInfo().username} only`,
      'for VMs with host_user, and plain processes with user, start the daemon as root',
    );
  }
  try {
    return ok(`services may run as any user, by ${findSetpriv()}`);
  } catch (error) {
    return failed(error, 'warning');
  }
}

/**
 * Runs every check; a check that throws counts as failed. Needs no daemon.
 *
 * @param limits those of the running daemon; by default those of a daemon started from here
 */
export async function runDoctor(home: string, limits: HostLimits = describeHostLimits()): Promise<DoctorReport> {
  const paths = new HomePaths(home);
  const kernel = () => findKernel(null, paths.kernelDir, hostArchitecture());
  const table: readonly [name: string, check: () => Finding | Promise<Finding>, onError?: 'warning'][] = [
    ['Node.js', () => ok(process.version)],
    ['home', () => checkHome(paths)],
    ['QEMU', () => checkQemu(findQemu(hostArchitecture()))],
    ['busybox', () => ok(findStaticBusybox())],
    ['kernel', () => ok(`${kernel().image}, modules in ${kernel().modulesDir ?? 'none: all must be built in'}`)],
    ['images', () => checkImages(kernel()), 'warning'],
    ['accelerator', () => checkAccelerator(paths)],
    ['mkfs.ext4', () => ok(`${findMkfs()}, for services with a disk`), 'warning'],
    ['virtiofsd', () => checkFileSharing(), 'warning'],
    ['open files', () => checkOpenFiles(limits)],
    ['file size', () => checkFileSize(limits)],
    ['cgroups', () => checkCgroups(limits)],
    ['jail', async () => checkJail(await findJailKind(paths.home)), 'warning'],
    ['way out', () => ok(`${findWayOut()}, for guests with local_only = false`), 'warning'],
    ['users', () => checkUsers()],
    ['memory', () => ok(`${formatSize(freemem())} of ${formatSize(totalmem())} free`)],
  ];
  const checks: Check[] = [];
  for (const [name, check, onError = 'failed'] of table) {
    try {
      checks.push({ name, ...(await check()) });
    } catch (error) {
      const result = failed(error, onError);
      const same = checks.find(({ finding }) => finding === result.finding);
      // Several checks look for the kernel and QEMU.
      checks.push({ name, ...result, ...(same && { finding: `for the same reason as ${same.name}`, advice: null }) });
    }
  }
  return { ok: checks.every(({ state }) => state !== 'failed'), checks };
}
