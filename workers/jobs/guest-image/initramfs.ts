/** Builds the guest's initramfs: busybox, our agent and the kernel modules that it loads. Cached by content. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import type { BuildInitramfsJob, InitramfsImage } from '../../../src/protocol/jobs.ts';
import { directory, file, renderCpio, symlink } from './cpio.ts';
import { KernelModules } from './kernel-modules.ts';

/** Path of the agent; a guest has the architecture of its host. */
const AGENT = new URL(`../../../src/vm/guest/agent/${process.arch}/monocore-agent`, import.meta.url);

const FOLDERS = 'bin dev etc lib lib/modules newroot proc root run run/lower run/rw sys tmp var'.split(' ');

/** Modules by purpose; the agent loads them one purpose at a time. */
const MODULES_BY_PURPOSE = {
  boot: ['virtio_mmio', 'virtio_console', 'pvpanic_mmio'],
  network: ['virtio_net'],
  root: ['overlay'],
  share: ['virtiofs'],
  disk: ['virtio_blk'],
  image: ['virtio_blk', 'erofs'],
} as const;

/** Links for program paths other than busybox's own: images and scripts use both. */
const LINKS = [symlink('sbin', 'bin'), symlink('usr', '.')];

/** True if the cached file is complete; a power failure or a full disk may have truncated it. */
function isWhole(path: string, archive: Buffer): boolean {
  try {
    return readFileSync(path).equals(archive);
  } catch {
    return false;
  }
}

/**
 * Builds the image, or finds it in the cache. Runs in the pool.
 *
 * @throws MonocoreError `ToolMissing` for modules with a compression that the host cannot unpack
 */
export function buildInitramfs(job: BuildInitramfsJob): InitramfsImage {
  const applets = execFileSync(job.busyboxPath, ['--list'], { encoding: 'utf8' }).trim().split('\n');
  const modules = new KernelModules(job.modulesDir);
  const moduleFiles = new Map<string, Buffer>();
  const lists = Object.entries(MODULES_BY_PURPOSE).map(([purpose, names]) => {
    const resolved = modules.resolve(names);
    for (const { name, content } of resolved) moduleFiles.set(name, content);
    return file(`lib/modules/${purpose}.list`, `${resolved.map(({ name }) => name).join(' ')}\n`);
  });

  const archive = renderCpio([
    ...FOLDERS.map((path) => directory(path, path === 'tmp' ? 0o1777 : 0o755)),
    ...LINKS,
    file('init', readFileSync(AGENT), 0o755),
    file('bin/busybox', readFileSync(job.busyboxPath), 0o755),
    ...applets.filter((applet) => applet !== 'busybox').map((applet) => symlink(`bin/${applet}`, 'busybox')),
    file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n'),
    file('etc/group', 'root:x:0:\n'),
    ...lists,
    ...[...moduleFiles].map(([name, content]) => file(`lib/modules/${name}.ko`, content)),
  ]);

  const path = join(job.cacheDir, `${createHash('sha256').update(archive).digest('hex')}.cpio`);
  if (!isWhole(path, archive)) {
    mkdirSync(job.cacheDir, { recursive: true, mode: 0o700 });
    writeFileAtomic.sync(path, archive);
  }
  // QEMU runs as a separate user when it opens the file; its jail gives access despite the modes of the folders above.
  chmodSync(path, 0o644);
  return { path, bytes: archive.length, modules: [...moduleFiles.keys()] };
}
