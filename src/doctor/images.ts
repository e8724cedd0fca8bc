/** Kernel features that the guests of services with an `image` need; they need no program of the host, and no root. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { errorCode } from '../lib/errors.ts';
import type { Kernel } from '../vm/guest/kernel.ts';
import { PACKAGES } from '../vm/host/host-tools.ts';
import type { Check } from './report.ts';

/** By what init loads for them: the disk that has the root, its file system, and the layer over it. */
const MODULES = ['virtio_blk', 'erofs', 'overlay'];

/** Whether a kernel can mount the roots of images. */
export function checkImages({ release, modulesDir }: Kernel): Omit<Check, 'name'> {
  if (modulesDir === null) {
    return { state: 'ok', finding: `${release} has no modules: ${MODULES.join(', ')} must be built in`, advice: null };
  }
  const known = new Set([...listModules(modulesDir), ...listBuiltIn(modulesDir)]);
  const missing = MODULES.filter((name) => !known.has(name));
  if (missing.length === 0) return { state: 'ok', finding: `${release} has ${MODULES.join(', ')}`, advice: null };
  return {
    state: 'warning',
    finding: `the kernel ${release} has no ${missing.join(', ')}, so no service with an image starts`,
    advice: `use another kernel, such as that of the package ${PACKAGES[process.arch === 'arm64' ? 'aarch64' : 'x86_64'].kernel}`,
  };
}

function listModules(modulesDir: string): string[] {
  return readdirSync(join(modulesDir, 'kernel'), { recursive: true, encoding: 'utf8' }).map(nameOf);
}

/** `modules.builtin`, see modprobe(8); where it is missing nothing is known to be built in. */
function listBuiltIn(modulesDir: string): string[] {
  try {
    return readFileSync(join(modulesDir, 'modules.builtin'), 'utf8').split('\n').map(nameOf);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** As the kernel calls it: with underscores. */
function nameOf(path: string): string {
  return basename(path)
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');
}
