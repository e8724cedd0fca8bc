/**
 * Reads `/proc`, see proc(5), and identifies processes in a way that survives the reuse of pids. Any thread. Reads are
 * synchronous: these files never wait for a disk, and asynchronous calls would queue in the thread pool that all
 * threads share.
 *
 * Long because every parser of `/proc` is here.
 */
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { join, posix } from 'node:path';
import { errorCode } from './errors.ts';

/** Running process: its pid, or `self` for the reader. */
type Pid = number | 'self';

/**
 * Identity of a process that survives the reuse of its pid: its start time in ticks since boot, and the id of that
 * boot.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly start_time: number;
  readonly boot_id: string;
}

/** USER_HZ, the unit of times in `/proc/<pid>/stat`: 100 on every Linux that Node runs on. */
export const TICKS_PER_SECOND = 100;

/**
 * Result of a read; null if the process ended meanwhile or belongs to another user. Other errors (EMFILE) are thrown.
 */
function ifReadable<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(errorCode(error) ?? '')) return null;
    throw error;
  }
}

/** Content of `/proc/<pid>/<file>`; null if the process has ended or this user may not read the file. */
export function readProcessFile(pid: Pid, file: string): string | null {
  return ifReadable(() => readFileSync(`/proc/${pid}/${file}`, 'utf8'));
}

interface ProcessStat {
  /** `R`, `S`, `D`…; a zombie is `Z`. */
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Time in user and kernel mode, of the process and of its children that have been reaped. */
  readonly cpuTicks: number;
  readonly endedChildrenCpuTicks: number;
  readonly startTicks: number;
}

/**
 * Parses a stat line. The command name, field 2, may contain spaces and parentheses, so fields are counted from the
 * last `)`.
 */
function parseStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const number = (field: number): number => Number(fields[field - 3]);
  return {
    state: fields[0]!,
    parent: number(4),
    group: number(5),
    session: number(6),
    cpuTicks: number(14) + number(15),
    endedChildrenCpuTicks: number(16) + number(17),
    startTicks: number(22),
  };
}

/** Status of a process; null if it does not exist. */
export function readStat(pid: Pid): ProcessStat | null {
  const text = readProcessFile(pid, 'stat');
  return text === null ? null : parseStat(text);
}

/** True if a process with that pid is alive. A zombie, which may remain until its parent reaps it, is not. */
export function isAlive(pid: number): boolean {
  const stat = readStat(pid);
  return stat !== null && stat.state !== 'Z' && stat.state !== 'X';
}

let bootId: string | undefined;

/** Identity of the process that currently has the pid; null if there is none. */
export function identify(pid: number): ProcessIdentity | null {
  const stat = readStat(pid);
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return stat && { pid, start_time: stat.startTicks, boot_id: bootId };
}

/** Time since the start of a process of this boot; independent of the host's wall clock. */
export function processAgeMs({ start_time }: ProcessIdentity): number {
  const uptimeSeconds = Number.parseFloat(readFileSync('/proc/uptime', 'utf8'));
  return Math.max(0, (uptimeSeconds - start_time / TICKS_PER_SECOND) * 1000);
}

/** True while that very process exists, even as a zombie. */
export function isSameProcess(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid);
  return now !== null && now.start_time === identity.start_time && now.boot_id === identity.boot_id;
}

/** True while that very process is running; false for a zombie. */
export function isRunning(identity: ProcessIdentity): boolean {
  return isSameProcess(identity) && isAlive(identity.pid);
}

/** Signals a process, or its group, unless its pid now belongs to another process; false if it has ended. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals, target: 'process' | 'group'): boolean {
  if (!isSameProcess(identity)) return false;
  try {
    process.kill(target === 'group' ? -identity.pid : identity.pid, signal);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false;
    throw error;
  }
}

/**
 * Kills processes one by one. A process that has ended, or that this user may not signal, does not stop the others from
 * being killed.
 */
export function killProcesses(pids: Iterable<number>): void {
  for (const pid of pids) {
    const identity = identify(pid);
    try {
      if (identity) signalProcess(identity, 'SIGKILL', 'process');
    } catch (error) {
      // A setuid program runs as another user.
      if (errorCode(error) !== 'EPERM') throw error;
    }
  }
}

/** Pids of all processes visible to this one. */
export function listPids(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

/** Number of readings of a {@link ProcessTree} after which it reads the parent of every process again. */
const FULL_READING = 30;

/**
 * Parents of all processes. Reading them costs as much as all other facts about a process, so a reading covers only new
 * processes and those whose parents have ended. The next full reading notices a pid that has been reused meanwhile.
 */
export class ProcessTree {
  #parents: ReadonlyMap<number, number> = new Map();
  #readings = 0;

  /**
   * Reads the current tree.
   *
   * @returns a function that lists all descendants of a process, except those whose parents have ended
   */
  read(): (root: number) => number[] {
    const known: ReadonlyMap<number, number> = this.#readings % FULL_READING === 0 ? new Map() : this.#parents;
    this.#readings += 1;
    const pids = new Set(listPids());
    const parents = new Map<number, number>();
    const children = new Map<number, number[]>();
    for (const pid of pids) {
      const before = known.get(pid);
      const parent = before !== undefined && (before === 0 || pids.has(before)) ? before : readStat(pid)?.parent;
      if (parent === undefined) continue;
      parents.set(pid, parent);
      const siblings = children.get(parent);
      if (siblings) siblings.push(pid);
      else children.set(parent, [pid]);
    }
    this.#parents = parents;
    return (root) => {
      const found = [...(children.get(root) ?? [])];
      for (const pid of found) found.push(...(children.get(pid) ?? []));
      return found;
    };
  }
}

/** Pids of the children of a single-threaded process; empty if the kernel does not list them (CONFIG_PROC_CHILDREN). */
export function listChildren(pid: number): number[] {
  return (readProcessFile(pid, `task/${pid}/children`) ?? '').split(' ').filter(Boolean).map(Number);
}

interface Descriptor {
  readonly fd: number;
  /** Path to open the same file again or to stat it. */
  readonly path: string;
  /**
   * Path of the file, followed by ` (deleted)` if it has been deleted; for other descriptors `socket:[<inode>]` or
   * similar.
   */
  readonly target: string;
}

/** Descriptors of a process, without those that are closed during the listing. */
export function listDescriptors(pid: Pid): Descriptor[] {
  const dir = `/proc/${pid}/fd`;
  return (ifReadable(() => readdirSync(dir)) ?? []).flatMap((fd) => {
    const path = `${dir}/${fd}`;
    const target = ifReadable(() => readlinkSync(path));
    return target === null ? [] : [{ fd: Number(fd), path, target }];
  });
}

/** O_CLOEXEC among the flags of a descriptor; the value on x86-64 and AArch64. */
const CLOSE_ON_EXEC = 0o2000000;

/** True if children of this process inherit the open descriptor. */
export function isInheritable(fd: number): boolean {
  const [, flags] = /^flags:\s*([0-7]+)$/m.exec(readProcessFile('self', `fdinfo/${fd}`) ?? '') ?? [];
  return flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0;
}

/** Resource limit of this process, see getrlimit(2); Infinity if unlimited. */
export interface ProcessLimit {
  readonly soft: number;
  readonly hard: number;
}

/** Limit of this process on open files. */
export function readOpenFilesLimit(): ProcessLimit {
  return readLimit('Max open files');
}

/** Limit of this process on the size of files that it writes, in bytes. */
export function readFileSizeLimit(): ProcessLimit {
  return readLimit('Max file size');
}

function readLimit(name: string): ProcessLimit {
  const limits = readProcessFile('self', 'limits') ?? '';
  const [, soft, hard] = new RegExp(`^${name}\\s+(\\S+)\\s+(\\S+)`, 'm').exec(limits) ?? [];
  const toNumber = (limit = 'unlimited') => (limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit));
  return { soft: toNumber(soft), hard: toNumber(hard) };
}

/** Highest limit on open files that root can set: fs.nr_open in proc_sys_fs(5). */
export function readMaxOpenFilesLimit(): number {
  return Number(readFileSync('/proc/sys/fs/nr_open', 'utf8'));
}

/**
 * Pid of a process that holds an exclusive flock(2) on a file; null if this process can see none.
 *
 * @param path without links
 * @param uids users whose processes count
 */
export function findLockHolder(path: string, uids: readonly number[]): number | null {
  for (const pid of listPids()) {
    const [, uid] = /^Uid:\s+\d+\s+(\d+)/m.exec(readProcessFile(pid, 'status') ?? '') ?? [];
    if (!uids.includes(Number(uid))) continue;
    for (const { fd, target } of listDescriptors(pid)) {
      if (target === path && /^lock:.*\bFLOCK\b.*\bWRITE\b/m.test(readProcessFile(pid, `fdinfo/${fd}`) ?? ''))
        return pid;
    }
  }
  return null;
}

interface BoundSocket {
  /** Hexadecimal address, as the kernel prints it. */
  readonly address: string;
  readonly port: number;
  readonly isListening: boolean;
  readonly inode: string;
}

/** TCP_LISTEN from net/tcp_states.h of Linux, as `/proc/net/tcp` prints it. */
const TCP_LISTEN = '0A';

/** Sockets listed in a table of `/proc/net`; empty if the kernel has no such table, for example without IPv6. */
export function listSockets(table: 'tcp' | 'tcp6' | 'udp' | 'udp6'): BoundSocket[] {
  const lines = (readProcessFile('self', `net/${table}`) ?? '').split('\n').slice(1, -1);
  return lines.map((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    const [address = '', port = ''] = local.split(':');
    return { address, port: Number.parseInt(port, 16), isListening: state === TCP_LISTEN, inode };
  });
}

/**
 * True if a unix socket listens at a path: between bind(2) and listen(2) its file exists, and connecting fails. The table
 * `/proc/net/unix` has the flag `__SO_ACCEPTCON` (linux/net.h) of each socket and the path as its owner bound it.
 */
export function isListening(path: string): boolean {
  const sockets = readFileSync('/proc/net/unix', 'latin1').split('\n');
  const end = ` ${Buffer.from(path).toString('latin1')}`;
  return sockets.some((line) => line.endsWith(end) && line.split(' ')[3] === '00010000');
}

export interface Mount {
  /** Directory inside the mounted file system that forms the root of the mount. */
  readonly root: string;
  /** Mount point. */
  readonly dir: string;
  readonly type: string;
  readonly options: readonly string[];
}

/**
 * Parses fields 4, 5 and 9 to 11 of a line of `mountinfo`; blanks and backslashes in paths are escaped, as in `\040`.
 */
function parseMount(line: string): Mount {
  const toPath = (text: string): string =>
    text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  const [fields = '', source = ''] = line.split(' - ');
  const [, , , root = '', dir = ''] = fields.split(' ');
  const [type = '', , options = ''] = source.split(' ');
  return { root: toPath(root), dir: toPath(dir), type, options: options.split(',') };
}

/** Mounts visible to this process. @param procDir another folder in tests */
export function readMounts(procDir = '/proc'): Mount[] {
  return readFileSync(`${procDir}/self/mountinfo`, 'utf8').split('\n').filter(Boolean).map(parseMount);
}

interface CgroupMembership {
  /** Controllers of a v1 hierarchy, or `name=systemd`; empty for v2, whose single hierarchy has the id 0. */
  readonly controllers: readonly string[];
  readonly isV2: boolean;
  readonly path: string;
}

/** Parses a line `id:controllers:path`; the path may contain colons. */
function parseCgroup(line: string): CgroupMembership {
  const [, id, controllers = '', path = ''] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
  return { controllers: controllers.split(','), isV2: id === '0', path };
}

/** Cgroups of a process; none if it has ended. @param procDir another folder in tests */
export function readCgroups(pid: Pid, procDir = '/proc'): CgroupMembership[] {
  const text = procDir === '/proc' ? readProcessFile(pid, 'cgroup') : readFileSync(`${procDir}/${pid}/cgroup`, 'utf8');
  return (text ?? '').split('\n').filter(Boolean).map(parseCgroup);
}

/**
 * Folder of the cgroup `path` in one of the mounts of its hierarchy, each of which shows only what is below its root.
 * Undefined if no mount contains it; a path with `..` is outside the cgroup namespace, see cgroup_namespaces(7).
 */
export function findCgroupFolder(
  mounts: readonly Mount[],
  path: string,
): { readonly dir: string; readonly isTop: boolean } | undefined {
  for (const { root, dir } of mounts) {
    const below = posix.relative(root, path);
    if (!below.startsWith('..') && !path.startsWith('/..')) return { dir: join(dir, below), isTop: below === '' };
  }
  return undefined;
}

/** Bytes that a process has read from and written to storage since it started. */
export interface DiskBytes {
  readonly read: number;
  readonly write: number;
}

/**
 * Open `/proc` files of one process, kept open because opening takes longer than reading. They never refer to a later
 * process with the same pid.
 */
export interface ProcFiles {
  /** Identifies the process together with the pid, however often the pid is reused. */
  readonly startTicks: number;
  /** False for a zombie as well. */
  isAlive(): boolean;
  /** Null if the process has ended or belongs to another user. */
  readDiskBytes(): DiskBytes | null;
  close(): void;
}

/** Opens the files of the process that currently has `pid`; null if there is none. */
export function openProcFiles(pid: number): ProcFiles | null {
  // Not `stat`, which pidusage also keeps open: `workers/metrics/usage.ts` must be able to tell its files from all
  // others.
  const statm = openFile(pid, 'statm');
  if (statm === null) return null;
  const startTicks = readStat(pid)?.startTicks;
  // A process that is alive now also owned the pid when its files were opened.
  if (startTicks === undefined || !hasMemory(statm)) {
    closeSync(statm);
    return null;
  }
  // This user may not open the file of another user's process.
  const io = openFile(pid, 'io');
  return {
    startTicks,
    isAlive: () => hasMemory(statm),
    readDiskBytes: () => (io === null ? null : readDiskBytes(io)),
    close() {
      closeSync(statm);
      if (io !== null) closeSync(io);
    },
  };
}

/** True if the process still has memory. The first number of `statm` is its memory size, which is 0 for a zombie. */
function hasMemory(statm: number): boolean {
  return /^[1-9]/.test(readOpen(statm) ?? '');
}

/**
 * Reads `read_bytes` and `write_bytes`, which count storage only; `rchar` and `wchar` also count pipes and the page
 * cache.
 */
function readDiskBytes(io: number): DiskBytes | null {
  const [, read, write] = /^read_bytes: (\d+)\nwrite_bytes: (\d+)$/m.exec(readOpen(io) ?? '') ?? [];
  return read === undefined || write === undefined ? null : { read: Number(read), write: Number(write) };
}

/** Buffer larger than any of the files. */
const buffer = Buffer.alloc(4096);

/** Reads from offset 0, which returns the whole current content in one call; null if the process has ended (ESRCH). */
function readOpen(fd: number): string | null {
  return ifReadable(() => buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0)));
}

function openFile(pid: number, name: string): number | null {
  try {
    return openSync(`/proc/${pid}/${name}`, 'r');
  } catch {
    return null;
  }
}
