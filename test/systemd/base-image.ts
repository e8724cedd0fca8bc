/** Disk with a minimal Debian whose process 1 is systemd, made by mmdebstrap(1) and kept below the home for later runs. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensurePrograms, executableFolders } from '../../scripts/debian-packages.ts';
import { resolveHome } from '../../src/state/paths.ts';

/** Releases of Debian: systemd 252 and 257. */
export const RELEASES = ['bookworm', 'trixie'] as const;
export type Release = (typeof RELEASES)[number];

/** Files of a finished image. */
export interface BaseImage {
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
}

/** Programs that make disks, unpacked below the home. Those that boot them come with the set-up script. */
const PROGRAMS = {
  name: 'disk-makers',
  packages: ['mmdebstrap', 'e2fsprogs'],
  programs: { mmdebstrap: {}, mke2fs: { versionArgs: ['-V'] } },
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

/** Makes an ext4 file system of the content of `folder`. */
export function makeDisk(folder: string, image: string, label: string, spareMib: number): void {
  const [kib = ''] = execFileSync('du', ['-sk', '--apparent-size', folder], { encoding: 'utf8' }).split('\t');
  const inodes = execFileSync('find', [folder, '-printf', '.'], { maxBuffer: 2 ** 26 }).length;
  // A quarter more for what files take beyond their sizes.
  const size = Math.ceil(Number(kib) * 1.25) + spareMib * 1024;
  const options = ['-O', '^has_journal', '-m', '0', '-N', String(inodes + 20_000), '-E', 'root_owner=0:0'];
  rmSync(image, { force: true });
  const args = ['-q', '-t', 'ext4', '-L', label, '-d', folder, ...options, image, `${size}k`];
  execFileSync(ensurePrograms(PROGRAMS)('mke2fs'), args);
}

/**
 * The image of a release with `more` packages; made where there is none of this recipe, which takes one to three minutes. Needs root, for the
 * owners of files, and the packages of Debian. Mounts nothing in the host's mount namespace.
 */
export function ensureBaseImage(release: Release, more: readonly string[] = []): BaseImage {
  const packages = [...PACKAGES, ...more];
  const recipe = [release, packages, FILES, MASKED, SPARE_MIB, process.version];
  const key = createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 12);
  const images = join(resolveHome(undefined), 'systemd-images');
  const name = [release, ...more].join('+');
  const folder = join(images, `${name}-${key}`);
  if (!existsSync(folder)) {
    const isOld = (entry: string) => entry.startsWith(`${name}-`);
    const old = existsSync(images) ? readdirSync(images).filter(isOld) : [];
    for (const entry of old) rmSync(join(images, entry), { recursive: true });
    build(`${folder}.new`, folder, release, packages);
  }
  const fileOf = (name: string) => join(folder, name);
  return { disk: fileOf('base.ext4'), kernel: fileOf('vmlinuz'), initrd: fileOf('initrd.img') };
}

function build(temporary: string, folder: string, release: Release, packages: readonly string[]): void {
  console.log(`systemd: making ${folder}`);
  const root = join(temporary, 'root');
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  // Mounts below the root are made in a mount namespace of their own: nothing reaches the host's /sys and /proc.
  execFileSync(
    'unshare',
    [
      ...['--mount', '--propagation', 'private'],
      ...[ensurePrograms(PROGRAMS)('mmdebstrap'), '--quiet', '--variant=minbase'],
      `--include=${packages.join(',')}`,
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
