/** Programs of the host: finds them, and names the package of each program that VMs need. */
import { execFile } from 'node:child_process';
import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { basename, delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { errorText, MonocoreError } from '../../lib/errors.ts';

/**
 * Runs a program to its end and returns its output.
 *
 * @throws Error with the name of the program and its message, or its exit code if it printed none; `code` is that of
 * `execFile`
 */
export async function run(program: string, args: readonly string[], options: { cwd?: string } = {}): Promise<string> {
  try {
    return (await promisify(execFile)(program, args, options)).stdout;
  } catch (cause) {
    const { stderr, code } = cause as { stderr?: string; code?: unknown };
    const reason = stderr?.trim() || (typeof code === 'number' ? `exit code ${code}` : errorText(cause));
    // Most programs begin their messages with their own name.
    const message = reason.includes(basename(program)) ? reason : `${program}: ${reason}`;
    throw Object.assign(new Error(message, { cause }), { code });
  }
}

/** Architecture of the host in QEMU's terms. */
export type Architecture = 'x86_64' | 'aarch64';

/** Debian's package names, for messages. */
export const PACKAGES = {
  x86_64: { qemu: 'qemu-system-x86', kernel: 'linux-image-cloud-amd64' },
  aarch64: { qemu: 'qemu-system-arm', kernel: 'linux-image-cloud-arm64' },
} as const;

/** Architecture of this host. @throws MonocoreError `ToolMissing` if monocore supports no VMs on it */
export function hostArchitecture(): Architecture {
  if (process.arch === 'x64') return 'x86_64';
  if (process.arch === 'arm64') return 'aarch64';
  throw new MonocoreError('ToolMissing', `microVMs need x86-64 or aarch64; this host is ${process.arch}`);
}

/** True for a file that the daemon may execute. */
export function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * Absolute path of a service's command, found as by execvp(3): a path is relative to `workdir`, a name is looked up in
 * `searchPath`.
 *
 * @throws MonocoreError `StartFailed` if it does not exist
 */
export function findExecutable(command: string, workdir: string, searchPath: string): string {
  const isPath = command.includes('/');
  const paths = (isPath ? ['.'] : searchPath.split(delimiter)).map((dir) => resolve(workdir, dir, command));
  const found = paths.find(isExecutableFile);
  if (found !== undefined) return found;
  if (isPath) throw new MonocoreError('StartFailed', `${paths[0]} is not an executable file`);
  throw new MonocoreError('StartFailed', `command not found: ${command} (searched in ${searchPath})`);
}

/** First executable of that name in `PATH` and then in `extraDirs`; null if there is none. */
export function findProgram(name: string, extraDirs: readonly string[] = []): string | null {
  const dirs = [...(process.env.PATH ?? '').split(delimiter), ...extraDirs];
  const paths = dirs.filter((dir) => dir !== '').map((dir) => join(dir, name));
  return paths.find(isExecutableFile) ?? null;
}

/** Reports a missing program. @throws MonocoreError `ToolMissing` that names the package */
function missing(what: string, packageName: string): never {
  const message = `${what} is not installed; install the package ${packageName}, or run monocore setup`;
  throw new MonocoreError('ToolMissing', message, { details: { package: packageName } });
}

/** Path of QEMU's system emulator. @throws MonocoreError `ToolMissing` */
export function findQemu(architecture: Architecture): string {
  const name = `qemu-system-${architecture}`;
  return findProgram(name) ?? missing(name, PACKAGES[architecture].qemu);
}

/** Version of a QEMU binary: `7.2.22`. */
export async function readQemuVersion(qemu: string): Promise<string> {
  return /version (\S+)/.exec(await run(qemu, ['--version']))?.[1] ?? 'unknown';
}

/**
 * True for a static ELF file. In others, PT_INTERP names the dynamic loader, see elf(5); only 64-bit little-endian
 * files are examined.
 */
export function isStaticElf(path: string): boolean {
  const PT_INTERP = 3;
  const header = Buffer.alloc(4096);
  const fd = openSync(path, 'r');
  const length = readSync(fd, header, 0, header.length, 0);
  closeSync(fd);
  if (length < 64 || header.readUInt32BE(0) !== 0x7f454c46) return false;
  const tableOffset = Number(header.readBigUInt64LE(32));
  const entrySize = header.readUInt16LE(54);
  const entryCount = header.readUInt16LE(56);
  for (let index = 0; index < entryCount; index++) {
    const offset = tableOffset + index * entrySize;
    if (offset + 4 > length || header.readUInt32LE(offset) === PT_INTERP) return false;
  }
  return true;
}

/**
 * Path of a busybox that can run in an initramfs, where there are no shared libraries.
 *
 * @throws MonocoreError `ToolMissing`
 */
export function findStaticBusybox(): string {
  for (const name of ['busybox', 'busybox-static']) {
    const path = findProgram(name, ['/bin', '/usr/bin', '/usr/lib/busybox-static']);
    if (path !== null && isStaticElf(path)) return path;
  }
  return missing('a statically linked busybox', 'busybox-static');
}

/** Path of mkfs.ext4. @throws MonocoreError `ToolMissing` */
export function findMkfs(): string {
  // Users may not have the folder of this administration tool in their PATH.
  const path = findProgram('mkfs.ext4', ['/usr/sbin', '/sbin']);
  return path ?? missing('mkfs.ext4, which makes the disks of services,', 'e2fsprogs');
}

/** Path of virtiofsd. @throws MonocoreError `ToolMissing` */
export function findVirtiofsd(): string {
  const path = findProgram('virtiofsd', ['/usr/lib/qemu', '/usr/libexec', '/usr/libexec/qemu']);
  return path ?? missing('virtiofsd, which rootfs and volumes need,', 'virtiofsd (qemu-system-common on Debian 12)');
}

/** Path of slirp4netns. @throws MonocoreError `ToolMissing` */
export function findSlirp4netns(): string {
  const path = findProgram('slirp4netns', ['/usr/bin', '/bin']);
  return path ?? missing('slirp4netns, which local_only = false needs,', 'slirp4netns');
}

/** Path of setpriv, which changes the user of a process. @throws MonocoreError `ToolMissing` */
export function findSetpriv(): string {
  return findProgram('setpriv', ['/usr/bin', '/bin']) ?? missing('setpriv, which user needs,', 'util-linux');
}

/** Path of unshare, which is needed to share files. @throws MonocoreError `ToolMissing` */
export function findUnshare(): string {
  return (
    findProgram('unshare', ['/usr/bin', '/bin']) ?? missing('unshare, which rootfs and volumes need,', 'util-linux')
  );
}
