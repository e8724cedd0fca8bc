/**
 * Jail of a VM process: QEMU keeps the descriptors of its files and sockets and loses access to the rest of the host,
 * see jail.c. Main thread.
 */
import { accessSync, constants, existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorText, errorTextWithPath, MonocoreError } from '../../../lib/errors.ts';
import { makeTempFolder } from '../../../lib/files.ts';
import { findSlirp4netns, run } from '../../host/host-tools.ts';
import type { Command } from '../../host/limits/launcher.ts';
import type { HostUser } from '../../host/limits/user.ts';
import type { Forward, MachineFile } from '../command-line.ts';

/** Limit on open files of a VM process without `open_files`: each connection of its user network needs one. */
const OPEN_FILES = 4096;

/**
 * Namespaces that a jail uses.
 *
 * - `host`: created by root of the host; QEMU gets a user of its own
 * - `user`: created by another user, in a user namespace; QEMU has the daemon's user
 * - `none`: no namespaces; QEMU sees the host as the daemon's user does
 */
export type Namespaces = 'host' | 'user' | 'none';

/** Kind of jail that this host supports. */
export interface JailKind {
  readonly namespaces: Namespaces;
  /** Reason why it is not the strongest kind, for people; null for `host`. */
  readonly obstacle: string | null;
}

/** Parameters of a jail. */
export interface JailSpec {
  readonly kind: JailKind;
  /** Files and sockets that QEMU gets as descriptors. */
  readonly files: readonly MachineFile[];
  /** Host files and folders that are visible to QEMU, read-only. */
  readonly visible: readonly string[];
  readonly devices: readonly string[];
  readonly forwards: readonly Forward[];
  /** True for a guest that may reach other hosts. */
  readonly goesOut: boolean;
  /** Size of the largest file, in bytes, that QEMU may write or create in memory. */
  readonly fileBytes: number;
  readonly openFiles: number | null;
  /** User set by the config; null gives QEMU a user of its own where possible. */
  readonly user: HostUser | null;
  /** Folder that only the daemon's user can enter; it contains the new root and the specification. */
  readonly dir: string;
}

/** Path of the jail program for this host, part of the package. @throws MonocoreError `ToolMissing` */
export function findJail(): string {
  const jail = fileURLToPath(new URL(`./${process.arch}/monocore-jail`, import.meta.url));
  if (existsSync(jail)) return jail;
  throw new MonocoreError('ToolMissing', `microVMs need x86-64 or aarch64; this host is ${process.arch}`);
}

/**
 * Words of a specification, see jail.c.
 *
 * @throws MonocoreError `ToolMissing`, `StartFailed` for a guest that may reach other hosts
 */
export function renderSpec(spec: JailSpec): string[] {
  const { namespaces } = spec.kind;
  const words = [
    ...spec.files.map(({ how, path }) => `${how}=${path}`),
    `open-files=${spec.openFiles ?? OPEN_FILES}`,
    `file-bytes=${spec.fileBytes}`,
  ];
  if (namespaces === 'none') return words;
  words.push(...spec.forwards.map(({ address, host, inner }) => `forward=${address}:${host}:${inner}`));
  if (spec.goesOut) words.push(`way-out=${findWayOut()}`, `unreachable=${LINK_LOCAL}`);
  words.push(`namespaces=${namespaces}`, `root=${spec.dir}`);
  words.push(...spec.visible.map((path) => `file=${path}`), ...spec.devices.map((path) => `device=${path}`));
  if (namespaces === 'host') words.push(...renderUser(spec));
  return words;
}

/**
 * Network that a guest which may reach other hosts cannot reach, besides the addresses of this host: clouds publish
 * metadata of their machines there.
 */
const LINK_LOCAL = '169.254.0.0/255.255.0.0';

/** Device through which slirp4netns provides a network to a jail. */
const TUN = '/dev/net/tun';

/** Path of slirp4netns. @throws MonocoreError `ToolMissing`, `StartFailed` if it would not work */
export function findWayOut(): string {
  const program = findSlirp4netns();
  try {
    accessSync(TUN, constants.R_OK | constants.W_OK);
    return program;
  } catch (cause) {
    const message = `a guest with local_only = false cannot reach other hosts: ${TUN} cannot be used: ${errorText(cause)}`;
    throw new MonocoreError('StartFailed', `${message}; give the daemon's user access to it`, { cause });
  }
}

/** User and groups for the specification. QEMU opens the devices of its jail itself, so it must be in their groups. */
function renderUser({ user, devices }: JailSpec): string[] {
  const deviceGroups = devices.map((path) => statSync(path).gid).filter((gid) => gid !== 0);
  if (!user) return ['user=own', 'group=own', ...deviceGroups.map((gid) => `group=${gid}`)];
  const groups = [user.gid, ...user.groups.filter((gid) => gid !== user.gid), ...deviceGroups];
  return [`user=${user.uid}`, ...groups.map((gid) => `group=${gid}`)];
}

/**
 * Writes the specification to `path` and wraps `command`, whose program must be an absolute path.
 *
 * @throws the system error
 */
export async function jailCommand(command: Command, path: string, spec: JailSpec): Promise<Command> {
  const words = renderSpec(spec).map((word) => `${word}\0`);
  await writeFile(path, words.join(''), { mode: 0o600 });
  return { program: findJail(), args: [path, command.program, ...command.args] };
}

/** Devices that every VM process may need. */
const DEVICES = ['/dev/null', '/dev/urandom'];

/** Devices for a VM process. */
export function listDevices(kvm: boolean): string[] {
  return [...DEVICES, ...(kvm ? ['/dev/kvm'] : [])].filter((path) => existsSync(path));
}

/**
 * Determines which kind of jail this host supports, by executing the jail program in a jail.
 *
 * @param instead folder to use if there is none for temporary files
 * @throws MonocoreError `ToolMissing`; the system error if there is no folder
 */
export async function findJailKind(instead: string, daemonUid = process.getuid?.()): Promise<JailKind> {
  const jail = findJail();
  const dir = makeTempFolder('monocore-jail-', instead);
  const kind: JailKind =
    daemonUid === 0
      ? { namespaces: 'host', obstacle: null }
      : { namespaces: 'user', obstacle: 'the daemon does not run as root' };
  const rest = { files: [], forwards: [], goesOut: false, fileBytes: 0, openFiles: null, user: null };
  try {
    const spec = { kind, visible: [jail], devices: listDevices(false), dir, ...rest };
    const { program, args } = await jailCommand({ program: jail, args: [] }, join(dir, 'jail'), spec);
    await run(program, args);
    return kind;
  } catch (error) {
    return { namespaces: 'none', obstacle: errorTextWithPath(error) };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Modules of accelerators in a folder, which need not exist. */
function listAccelerators(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => /^accel-.*\.so$/.test(name));
  return names.map((name) => join(folder, name));
}

/** Libraries that the loader finds for a program or a module, see ld.so(8), including the loader itself. */
async function listLibraries(path: string): Promise<string[]> {
  return (await run('ldd', [path])).split(/\s+/).filter((word) => word.startsWith('/'));
}

/**
 * Files that QEMU reads before its guest runs, besides kernel and initramfs: its program, libraries, firmware and
 * accelerator modules, which are separate files on Debian.
 *
 * @param qemu absolute path
 * @throws Error if they cannot be listed
 */
export async function listProgramFiles(qemu: string): Promise<string[]> {
  const libraries = await listLibraries(qemu);
  const folders = new Set(libraries.map((path) => join(realpathSync(dirname(path)), 'qemu')));
  const modules = [...folders].flatMap(listAccelerators);
  const needed = await Promise.all(modules.map(listLibraries));
  const data = (await run(qemu, ['-L', 'help'])).split('\n').map((path) => path.trim());
  const firmware = data.filter((path) => path !== '' && existsSync(path)).map((path) => join(path));
  return [...new Set([qemu, ...libraries, ...modules, ...needed.flat(), ...firmware])];
}
