/** Checks of everything on the host that monocore needs, with a remedy for each finding. */
import { freemem, totalmem } from 'node:os';
import { readOpenFilesLimit } from '../lib/proc.ts';
import { formatSize } from '../lib/units.ts';
import { HomePaths, MAX_SOCKET_PATH_BYTES } from '../state/paths.ts';
import { makeHome } from '../state/store.ts';
import { JobPool } from '../threads/job-pool.ts';
import { findKernel, type Kernel } from '../vm/guest/kernel.ts';
import { findMkfs, findQemu, findStaticBusybox, hostArchitecture, readQemuVersion } from '../vm/host/host-tools.ts';
import { groupObstacle, preparePlatform } from '../vm/qemu/platform.ts';
import {
  type Check,
  checkCgroups,
  checkFileSharing,
  checkImages,
  checkUsers,
  type Finding,
  failed,
  ok,
  warn,
} from './checks.ts';

/** A VM needs about 20 descriptors of the daemon while it starts and 6 while it runs. */
const WANTED_OPEN_FILES = 4096;
/** The longest name of a service is 63 bytes; its control socket must fit for a home to be good for all names. */
const LONGEST_SERVICE_PATH = '/run//control.sock'.length + 63;

/** Result of `monocore doctor`, as `--json` prints it. */
export interface DoctorReport {
  /** True when no check failed. */
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

async function checkHome(paths: HomePaths): Promise<Finding> {
  const longest = Buffer.byteLength(paths.home) + LONGEST_SERVICE_PATH;
  await makeHome(paths);
  if (longest <= MAX_SOCKET_PATH_BYTES) return ok(`${paths.home} can be written`);
  return warn(
    `${paths.home} is long: sockets of services with names above ${63 - (longest - MAX_SOCKET_PATH_BYTES)} bytes do not fit`,
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
  const effect = 'services of a group do not reach each other by name, and UDP ports stay closed';
  return warn(obstacle, `until QEMU is upgraded, ${effect}`);
}

function describeKernel({ image, modulesDir }: Kernel): Finding {
  return ok(`${image}, modules in ${modulesDir ?? 'none: all must be built in'}`);
}

function checkOpenFiles(): Finding {
  const { soft } = readOpenFilesLimit();
  const limit = soft === Number.POSITIVE_INFINITY ? 'unlimited' : String(soft);
  if (soft >= WANTED_OPEN_FILES) return ok(`${limit} open files`);
  return warn(`only ${limit} open files are allowed`, `raise the limit: ulimit -n ${WANTED_OPEN_FILES}`);
}

/** Runs every check; a check that throws has failed. Needs no daemon. */
export async function runDoctor({ home }: { readonly home: string }): Promise<DoctorReport> {
  const paths = new HomePaths(home);
  const kernel = () => findKernel(null, paths.kernelDir, hostArchitecture());
  const table: readonly [name: string, check: () => Finding | Promise<Finding>, onError?: 'warning'][] = [
    ['Node.js', () => ok(process.version)],
    ['home', () => checkHome(paths)],
    ['QEMU', () => checkQemu(findQemu(hostArchitecture()))],
    ['busybox', () => ok(findStaticBusybox())],
    ['kernel', () => describeKernel(kernel())],
    ['images', () => checkImages(kernel()), 'warning'],
    ['accelerator', () => checkAccelerator(paths)],
    ['mkfs.ext4', () => ok(`${findMkfs()}, for services with a disk`), 'warning'],
    ['virtiofsd', () => checkFileSharing(), 'warning'],
    ['open files', checkOpenFiles],
    ['cgroups', () => checkCgroups()],
    ['users', () => checkUsers()],
    ['memory', () => ok(`${formatSize(freemem())} of ${formatSize(totalmem())} free`)],
  ];
  const checks: Check[] = [];
  for (const [name, check, onError = 'failed'] of table) {
    try {
      checks.push({ name, ...(await check()) });
    } catch (error) {
      checks.push({ name, ...failed(error, onError) });
    }
  }
  return { ok: checks.every(({ state }) => state !== 'failed'), checks };
}
