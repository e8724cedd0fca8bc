/** Selects the kernel that a VM boots: that of the config, or else of the home, or else of the host. */
import { accessSync, closeSync, constants, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { MonocoreError } from '../../lib/errors.ts';
import { type Architecture, PACKAGES } from '../host/host-tools.ts';

/** Kernel image and its modules. */
export interface Kernel {
  /** Absolute path of the image; the daemon can read it. */
  readonly image: string;
  /** Release, such as `6.1.0-53-cloud-amd64`; the name of the file if it contains none. */
  readonly release: string;
  /** `…/lib/modules/<release>`, or null, in which case the kernel must have everything built in. */
  readonly modulesDir: string | null;
}

function isReadableFile(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * True for an image that QEMU can load: on x86-64 a bzImage (`HdrS`, Documentation/arch/x86/boot.rst of Linux) or an
 * ELF file, on aarch64 an Image (`ARM\x64`, Documentation/arch/arm64/booting.rst), compressed or not, or an EFI
 * program.
 */
function isKernelImage(path: string, architecture: Architecture): boolean {
  const fd = openSync(path, 'r');
  const head = Buffer.alloc(1024);
  const text = head.toString('latin1', 0, readSync(fd, head, 0, head.length, 0));
  closeSync(fd);
  if (architecture === 'x86_64') return text.startsWith('HdrS', 0x202) || text.startsWith('\x7fELF');
  return text.startsWith('ARM\x64', 56) || text.startsWith('\x1f\x8b') || text.startsWith('MZ');
}

function describe(image: string): Kernel {
  const release = basename(image).replace(/^(vmlinuz|vmlinux|bzImage|Image)-/, '');
  const beside = join(dirname(dirname(image)), 'lib/modules', release);
  const modulesDir = [beside, join('/lib/modules', release)].find(existsSync) ?? null;
  return { image, release, modulesDir };
}

/** Readable kernel images of a folder, newest release first. */
function listKernels(bootDir: string): Kernel[] {
  let names: string[];
  try {
    names = readdirSync(bootDir);
  } catch {
    return [];
  }
  return names
    .filter((name) => name.startsWith('vmlinuz-'))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
    .map((name) => join(bootDir, name))
    .filter(isReadableFile)
    .map(describe);
}

/**
 * Finds the kernel.
 *
 * @param chosen path in the config, or null
 * @param kernelDir `kernel/` in the home, which the setup script fills
 * @param hostBootDir folder of the host's own kernels
 * @throws MonocoreError `ToolMissing` if there is no readable kernel
 */
export function findKernel(
  chosen: string | null,
  kernelDir: string,
  architecture: Architecture,
  hostBootDir = '/boot',
): Kernel {
  if (chosen !== null) {
    if (!isReadableFile(chosen)) {
      throw new MonocoreError('ToolMissing', `the kernel ${chosen} is not a file that can be read; name another`);
    }
    // QEMU's own message would be "could not load kernel: Success".
    if (!isKernelImage(chosen, architecture)) {
      throw new MonocoreError(
        'ToolMissing',
        `${chosen} is not a kernel for ${architecture}; name a vmlinuz or bzImage`,
      );
    }
    return describe(chosen);
  }
  const found = listKernels(join(kernelDir, 'boot'))[0] ?? listKernels(hostBootDir).find((kernel) => kernel.modulesDir);
  if (found) return found;
  throw new MonocoreError(
    'ToolMissing',
    `no kernel in ${kernelDir} nor a readable one in ${hostBootDir}; run monocore setup, which unpacks the package ` +
      `${PACKAGES[architecture].kernel} there, or name one with "kernel" in the config`,
    { details: { package: PACKAGES[architecture].kernel } },
  );
}
