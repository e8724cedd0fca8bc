/** Builds the guest's initramfs: busybox, our init and the kernel modules that it loads. Cached by content. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import type { BuildInitramfsJob, InitramfsImage } from '../../../src/protocol/jobs.ts';
import { type CpioEntry, renderCpio } from './cpio.ts';
import { KernelModules } from './kernel-modules.ts';

const INIT = new URL('../../../src/vm/guest/init', import.meta.url);

const FOLDERS = [
  'bin',
  'dev',
  'etc',
  'lib',
  'lib/dev',
  'lib/dev/pts',
  'lib/dev/shm',
  'lib/modules',
  'newroot',
  'proc',
  'root',
  'run',
  'run/lower',
  'run/rw',
  'sys',
  'tmp',
  'var',
];

/** Modules by the purpose for which the guest's init loads them, `load <purpose>`. */
const MODULES_BY_PURPOSE = {
  boot: ['virtio_mmio', 'virtio_console', 'pvpanic_mmio'],
  network: ['virtio_net'],
  root: ['overlay'],
  share: ['virtiofs'],
  disk: ['virtio_blk'],
  image: ['virtio_blk', 'erofs'],
} as const;

/** Links that init copies to /dev, which is the kernel's: Linux, admin-guide/devices.rst, "Compulsory links". */
const DEVICE_LINKS = { fd: '/proc/self/fd', stdin: 'fd/0', stdout: 'fd/1', stderr: 'fd/2' };

/** Between the job and its relays. Whatever user the job has, it may open /dev/stdout. */
const FIFOS = ['run/stdout', 'run/stderr'];

/** A guest has the architecture of its host. */
const RUN_AS = new URL(`./run-as/${process.arch}/run-as`, import.meta.url);

/** Programs beside busybox's own are found through these: images and scripts name both. */
const LINKS: readonly CpioEntry[] = [
  { type: 'symlink', path: 'sbin', target: 'bin' },
  { type: 'symlink', path: 'usr', target: '.' },
];

/** Renders the file that modprobe reads: modules without dependencies, because the lists have all in order. */
function describeForModprobe(names: readonly string[], modulesDir: string | null): CpioEntry[] {
  if (modulesDir === null) return [];
  const lines = names.map((name) => `${name}.ko:\n`).join('');
  return [
    { type: 'symlink', path: `lib/modules/${basename(modulesDir)}`, target: '.' },
    { type: 'file', path: 'lib/modules/modules.dep', content: Buffer.from(lines), mode: 0o644 },
  ];
}

/**
 * Builds the image, or finds that the cache has it. Runs in the pool.
 *
 * @throws MonocoreError `ToolMissing` for modules in a compression that the host cannot unpack
 */
export function buildInitramfs(job: BuildInitramfsJob): InitramfsImage {
  const applets = execFileSync(job.busyboxPath, ['--list'], { encoding: 'utf8' }).trim().split('\n');
  const modules = new KernelModules(job.modulesDir);
  const moduleFiles = new Map<string, Buffer>();
  const lists = Object.entries(MODULES_BY_PURPOSE).map(([purpose, names]): CpioEntry => {
    const resolved = modules.resolve(names);
    for (const { name, content } of resolved) moduleFiles.set(name, content);
    const line = resolved.map(({ name }) => name).join(' ');
    return { type: 'file', path: `lib/modules/${purpose}.list`, content: Buffer.from(`${line}\n`), mode: 0o644 };
  });

  const archive = renderCpio([
    ...FOLDERS.map((path): CpioEntry => ({ type: 'directory', path, mode: path === 'tmp' ? 0o1777 : 0o755 })),
    ...LINKS,
    ...FIFOS.map((path): CpioEntry => ({ type: 'fifo', path, mode: 0o666 })),
    { type: 'file', path: 'init', content: readFileSync(INIT), mode: 0o755 },
    { type: 'file', path: 'bin/busybox', content: readFileSync(job.busyboxPath), mode: 0o755 },
    ...applets
      .filter((applet) => applet !== 'busybox')
      .map((applet): CpioEntry => ({ type: 'symlink', path: `bin/${applet}`, target: 'busybox' })),
    { type: 'file', path: 'lib/run-as', content: readFileSync(RUN_AS), mode: 0o755 },
    ...Object.entries(DEVICE_LINKS).map(
      ([name, target]): CpioEntry => ({ type: 'symlink', path: `lib/dev/${name}`, target }),
    ),
    { type: 'file', path: 'etc/passwd', content: Buffer.from('root:x:0:0:root:/root:/bin/sh\n'), mode: 0o644 },
    { type: 'file', path: 'etc/group', content: Buffer.from('root:x:0:\n'), mode: 0o644 },
    ...lists,
    ...describeForModprobe([...moduleFiles.keys()], job.modulesDir),
    ...[...moduleFiles].map(
      ([name, content]): CpioEntry => ({ type: 'file', path: `lib/modules/${name}.ko`, content, mode: 0o644 }),
    ),
  ]);

  const path = join(job.cacheDir, `${createHash('sha256').update(archive).digest('hex')}.cpio`);
  if (!existsSync(path)) {
    mkdirSync(job.cacheDir, { recursive: true });
    writeFileAtomic.sync(path, archive, { mode: 0o644 });
  }
  return { path, modules: [...moduleFiles.keys()] };
}
