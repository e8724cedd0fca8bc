/**
 * Jail of a VM process: QEMU keeps the descriptors of its files and sockets, and loses the rest of the host, see jail.c.
 * Main thread.
 */
import { accessSync, constants, existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorText, errorTextWithPath, MonocoreError } from '../../../lib/errors.ts';
import { makeTempFolder } from '../../../lib/files.ts';
import { findSlirp4netns, run } from '../../host/host-tools.ts';
import type { Command } from '../../host/limits/launcher.ts';
import type { HostUser } from '../../host/limits/user.ts';
import type { Forward, MachineFile } from '../command-line.ts';

/** Limit on the open files of a VM process without `open_files`: one for each connection of its user network. */
const OPEN_FILES = 4096;

/**
 * Namespaces that a jail is made of.
 *
 * - `host`: by root of the host; QEMU gets a user of its own
 * - `user`: by another user, in a user namespace; QEMU has the daemon's user
 * - `none`: there are none; QEMU sees the host as the daemon's user does
 */
export type Namespaces = 'host' | 'user' | 'none';

/** Jails of this host. */
export interface JailKind {
  readonly namespaces: Namespaces;
  /** Reason why they are not the best that there are, for people; null for `host`. */
  readonly obstacle: string | null;
}

/** Parts of a jail. */
export interface JailSpec {
  readonly kind: JailKind;
  /** Descriptors that QEMU gets. */
  readonly files: readonly MachineFile[];
  /** Files and folders of the host that QEMU sees, read-only. */
  readonly visible: readonly string[];
  readonly devices: readonly string[];
  readonly forwards: readonly Forward[];
  /** True for a guest that may reach other hosts. */
  readonly goesOut: boolean;
  /** Bytes of the largest file that QEMU may write, or make in memory. */
  readonly fileBytes: number;
  readonly openFiles: number | null;
  /** User that the config names; null gives QEMU one of its own where that is possible. */
  readonly user: HostUser | null;
  /** Folder that only the daemon's user can enter: place of the new root, and of the specification. */
  readonly dir: string;
}

/** Path of the jail for this host, part of the package. @throws MonocoreError `ToolMissing` */
export function findJail(): string {
  const jail = fileURLToPath(new URL(`./${process.arch}/monocore-jail`, import.meta.url));
  if (existsSync(jail)) return jail;
  throw new MonocoreError('ToolMissing', `microVMs need x86-64 or aarch64; this host is ${process.arch}`);
}

/** Words of a specification, see jail.c. @throws MonocoreError `ToolMissing`, `StartFailed` for a guest that goes out */
export function renderSpec(spec: JailSpec): string[] {
  const { namespaces } = spec.kind;
  const words = [
    ...spec.files.map(({ how, path }) => `${how}=${path}`),
    `open-files=${spec.openFiles ?? OPEN_FILES}`,
    `file-bytes=${spec.fileBytes}`,
  ];
  if (namespaces === 'none') return words;
  words.push(...spec.forwards.map(({ address, host, inner }) => `forward=${address}:${host}:${inner}`));
  if (spec.goesOut) words.push(`way-out=${findWayOut()}`, ...listUnreachable().map((net) => `unreachable=${net}`));
  words.push(`namespaces=${namespaces}`, `root=${spec.dir}`);
  words.push(...spec.visible.map((path) => `file=${path}`), ...spec.devices.map((path) => `device=${path}`));
  if (namespaces === 'host') words.push(...renderUser(spec));
  return words;
}

/**
 * Networks that a guest which may go out cannot reach: link-local addresses, where clouds answer questions about their
 * machines, and the addresses that this host has now. The loopback addresses of a jail are its own.
 */
function listUnreachable(): string[] {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const outer = own.filter(({ family, internal }) => family === 'IPv4' && !internal);
  return ['169.254.0.0/255.255.0.0', ...new Set(outer.map(({ address }) => `${address}/255.255.255.255`))];
}

/** Device by which slirp4netns gives a network to a jail. */
const TUN = '/dev/net/tun';

/** Path of slirp4netns. @throws MonocoreError `ToolMissing`, `StartFailed` when it could not work */
export function findWayOut(): string {
  const program = findSlirp4netns();
  try {
    accessSync(TUN, constants.R_OK | constants.W_OK);
    return program;
  } catch (cause) {
    const message = `a guest with local_only = false has no way out: ${TUN} cannot be used: ${errorText(cause)}`;
    throw new MonocoreError('StartFailed', `${message}; give the daemon's user access to it`, { cause });
  }
}

/** QEMU opens the devices of its jail itself, as a member of their groups. */
function renderUser({ user, devices }: JailSpec): string[] {
  const deviceGroups = devices.map((path) => statSync(path).gid).filter((gid) => gid !== 0);
  if (!user) return ['user=own', 'group=own', ...deviceGroups.map((gid) => `group=${gid}`)];
  const groups = [user.gid, ...user.groups.filter((gid) => gid !== user.gid), ...deviceGroups];
  return [`user=${user.uid}`, ...groups.map((gid) => `group=${gid}`)];
}

/** Writes the specification to `path` and wraps `command`, whose program is an absolute path. @throws the system's error */
export async function jailCommand(command: Command, path: string, spec: JailSpec): Promise<Command> {
  const words = renderSpec(spec).map((word) => `${word}\0`);
  await writeFile(path, words.join(''), { mode: 0o600 });
  return { program: findJail(), args: [path, command.program, ...command.args] };
}

/** Devices that every VM process may need. */
const DEVICES = ['/dev/null', '/dev/urandom'];

/** Devices of a VM process. */
export function listDevices(kvm: boolean): string[] {
  return [...DEVICES, ...(kvm ? ['/dev/kvm'] : [])].filter((path) => existsSync(path));
}

/**
 * Finds the kind of this host by a jail that executes itself.
 *
 * @param instead folder to use where there is none for temporary files
 * @throws MonocoreError `ToolMissing`; the system's error without a folder
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

/** Modules of accelerators in a folder, which may not exist. */
function listAccelerators(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => /^accel-.*\.so$/.test(name));
  return names.map((name) => join(folder, name));
}

/** Libraries that the loader finds for a program or a module, see ld.so(8); the loader itself is among them. */
async function listLibraries(path: string): Promise<string[]> {
  return (await run('ldd', [path])).split(/\s+/).filter((word) => word.startsWith('/'));
}

/**
 * Files that a QEMU reads before its guest runs, besides kernel and initramfs: its program, libraries, firmware and the
 * modules of its accelerators, which Debian has apart.
 *
 * @param qemu absolute path
 * @throws Error when they cannot be listed
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
