/** Disk with a minimal Debian whose process 1 is systemd, made by mmdebstrap(1) and kept for later runs. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { executableFolders, findExecutable } from '../../scripts/debian-packages.ts';

/** Releases of Debian: systemd 252 and 257. */
export const RELEASES = ['bookworm', 'trixie'] as const;
export type Release = (typeof RELEASES)[number];

/** Files of a finished image. */
export interface BaseImage {
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
}

/** Programs that make the image and boot it, with their packages. */
const PROGRAMS = {
  mmdebstrap: 'mmdebstrap',
  mke2fs: 'e2fsprogs',
  unshare: 'util-linux',
  'qemu-system-x86_64': 'qemu-system-x86',
};

const PACKAGES = [
  ...['systemd', 'systemd-sysv', 'dbus', 'libpam-systemd', 'dbus-user-session', 'udev', 'kmod', 'initramfs-tools'],
  ...['linux-image-cloud-amd64', 'libstdc++6', 'libatomic1', 'procps', 'util-linux', 'coreutils', 'iproute2'],
];

const SPARE_MIB = 1536;

/** Units of a real host that only take time here. */
const MASKED = [
  ...['apt-daily.timer', 'apt-daily-upgrade.timer', 'dpkg-db-backup.timer', 'e2scrub_all.timer', 'fstrim.timer'],
  ...['e2scrub_reap.service', 'systemd-timesyncd.service', 'getty@tty1.service'],
];

/** Files of the machine beside those of its packages. */
const FILES: Readonly<Record<string, string>> = {
  'etc/hostname': 'systemd-vm\n',
  'etc/hosts': '127.0.0.1 localhost systemd-vm\n',
  // Empty: systemd makes one at the first boot.
  'etc/machine-id': '',
  'etc/fstab': `LABEL=root     /             ext4 rw,noatime 0 0
LABEL=monocore /opt/monocore ext4 rw,noatime 0 0
`,
  'etc/systemd/journald.conf.d/test.conf': '[Journal]\nStorage=persistent\nRateLimitBurst=0\n',
  'etc/systemd/system/test-shell.service': `[Unit]
Description=Runs the commands of the test
[Service]
ExecStart=/bin/bash /usr/local/sbin/test-shell
KillMode=process
OOMPolicy=continue
TasksMax=infinity
`,
  'usr/local/sbin/test-shell': readFileSync(fileURLToPath(new URL('shell.sh', import.meta.url)), 'utf8'),
};

/** Folder of the images; MONOCORE_TEST_CACHE names another. */
function cacheDir(): string {
  const { MONOCORE_TEST_CACHE: named, XDG_CACHE_HOME: caches } = process.env;
  return named ?? join(caches ?? join(homedir(), '.cache'), 'monocore-test');
}

/** Finds the programs. As root on Debian missing ones are installed. @throws Error with the packages to install */
function ensurePrograms(): void {
  const missing = () =>
    Object.entries(PROGRAMS).flatMap(([name, owner]) => (findExecutable(name, executableFolders()) ? [] : [owner]));
  if (missing().length === 0) return;
  const command = ['install', '-y', '-qq', '--no-install-recommends', ...missing()];
  try {
    execFileSync('apt-get', ['update', '-qq'], { stdio: 'ignore' });
    execFileSync('apt-get', command, { stdio: 'ignore' });
  } catch (cause) {
    throw new Error(`the machine needs more programs: apt-get ${command.join(' ')}`, { cause });
  }
}

/** Makes an ext4 file system of the content of `folder`. */
export function makeDisk(folder: string, image: string, label: string, spareMib: number): void {
  const [kib = ''] = execFileSync('du', ['-sk', '--apparent-size', folder], { encoding: 'utf8' }).split('\t');
  const inodes = execFileSync('find', [folder, '-printf', '.'], { maxBuffer: 2 ** 26 }).length;
  // A quarter more for what files take beyond their sizes.
  const size = Math.ceil(Number(kib) * 1.25) + spareMib * 1024;
  const options = ['-O', '^has_journal', '-m', '0', '-N', String(inodes + 20_000), '-E', 'root_owner=0:0'];
  rmSync(image, { force: true });
  const args = ['-q', '-t', 'ext4', '-L', label, '-d', folder, ...options, image, `${size}k`];
  execFileSync(findExecutable('mke2fs', executableFolders())!, args);
}

/**
 * The image of a release; made where there is none of this recipe, which takes one to three minutes. Needs root, for the
 * owners of files, and the packages of Debian. Mounts nothing in the host's mount namespace.
 */
export function ensureBaseImage(release: Release): BaseImage {
  ensurePrograms();
  const recipe = [release, PACKAGES, FILES, MASKED, SPARE_MIB, process.version];
  const key = createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 12);
  const folder = join(cacheDir(), `systemd-${release}-${key}`);
  if (!existsSync(folder)) build(`${folder}.new`, folder, release);
  const fileOf = (name: string) => join(folder, name);
  return { disk: fileOf('base.ext4'), kernel: fileOf('vmlinuz'), initrd: fileOf('initrd.img') };
}

function build(temporary: string, folder: string, release: Release): void {
  console.log(`systemd: making ${folder}`);
  const root = join(temporary, 'root');
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  // Mounts below the root are made in a mount namespace of their own: nothing reaches the host's /sys and /proc.
  execFileSync(
    'unshare',
    [
      ...['--mount', '--propagation', 'private', 'mmdebstrap', '--quiet', '--variant=minbase'],
      `--include=${PACKAGES.join(',')}`,
      ...['--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "false"'],
      ...['doc', 'man', 'locale'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
      release,
      root,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'], env: { PATH: executableFolders().join(':') } },
  );
  for (const [path, content] of Object.entries(FILES)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  const units = join(root, 'etc/systemd/system');
  for (const unit of MASKED) execFileSync('ln', ['-sf', '/dev/null', join(units, unit)]);
  mkdirSync(join(units, 'multi-user.target.wants'), { recursive: true });
  execFileSync('ln', ['-sf', '../test-shell.service', join(units, 'multi-user.target.wants')]);
  mkdirSync(join(root, 'opt/monocore'));
  copyFileSync(process.execPath, join(root, 'usr/local/bin/node'));
  execFileSync('ln', ['-s', '/opt/monocore/dist/src/cli/bin.js', join(root, 'usr/local/bin/monocore')]);
  copyFileSync(join(root, 'vmlinuz'), join(temporary, 'vmlinuz'));
  copyFileSync(join(root, 'initrd.img'), join(temporary, 'initrd.img'));
  makeDisk(root, join(temporary, 'base.ext4'), 'root', SPARE_MIB);
  rmSync(root, { recursive: true });
  renameSync(temporary, folder);
}
