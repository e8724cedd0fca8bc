/**
 * Reads of `/proc`, see proc(5), and the identity of processes, which no reuse of a pid can confuse. Any thread. Reads are
 * synchronous: these files never wait for a disk, and asynchronous calls would queue in the thread pool that all threads
 * share. Long because every parser of `/proc` is here.
 */
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { join, posix } from 'node:path';
import { errorCode } from './errors.ts';

/** A process that runs now: a pid, or the reader itself. */
type Pid = number | 'self';

/** Identity of a process beyond the reuse of its pid: the start time in ticks since boot, and the id of that boot. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly start_time: number;
  readonly boot_id: string;
}

/** USER_HZ, the unit of times in `/proc/<pid>/stat`: 100 on every Linux that Node runs on. */
export const TICKS_PER_SECOND = 100;

/** Processes end while they are read, and some belong to other users: null for both. Other errors (EMFILE) are thrown. */
function ifReadable<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(errorCode(error) ?? '')) return null;
    throw error;
  }
}

/** Text of `/proc/<pid>/<file>`; null when the process has ended, or its file is not for this user. */
export function readProcessFile(pid: Pid, file: string): string | null {
  return ifReadable(() => readFileSync(`/proc/${pid}/${file}`, 'utf8'));
}

interface ProcessStat {
  /** `R`, `S`, `D`…; a zombie is `Z`. */
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Time in user and kernel mode, of the process and of its children that have ended. */
  readonly cpuTicks: number;
  readonly endedChildrenCpuTicks: number;
  readonly startTicks: number;
}

/** The command name, field 2, may hold spaces and parentheses, so fields are counted from the last `)`. */
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

/** Null when there is no such process. */
export function readStat(pid: Pid): ProcessStat | null {
  const text = readProcessFile(pid, 'stat');
  return text === null ? null : parseStat(text);
}

/** True while a process has that pid; a zombie, which may stay for long when its parent waits late, has ended. */
export function isAlive(pid: number): boolean {
  const stat = readStat(pid);
  return stat !== null && stat.state !== 'Z' && stat.state !== 'X';
}

let bootId: string | undefined;

/** Identity of the process that has the pid now; null when there is none. */
export function identify(pid: number): ProcessIdentity | null {
  const stat = readStat(pid);
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return stat && { pid, start_time: stat.startTicks, boot_id: bootId };
}

/** Time since the start of a process of this boot; the clock of the host does not matter. */
export function processAgeMs({ start_time }: ProcessIdentity): number {
  const uptimeSeconds = Number.parseFloat(readFileSync('/proc/uptime', 'utf8'));
  return Math.max(0, (uptimeSeconds - start_time / TICKS_PER_SECOND) * 1000);
}

/** True while that very process exists, as a zombie does. */
export function isSameProcess(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid);
  return now !== null && now.start_time === identity.start_time && now.boot_id === identity.boot_id;
}

/** True while that very process runs, as a zombie does not. */
export function isRunning(identity: ProcessIdentity): boolean {
  return isSameProcess(identity) && isAlive(identity.pid);
}

/** Signals a process, or its group, unless its pid belongs to another one by now; false when it has ended. */
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

/** Kills processes one by one; those that have ended, or that this user may not signal, do not keep the others alive. */
export function killProcesses(pids: Iterable<number>): void {
  for (const pid of pids) {
    const identity = identify(pid);
    try {
      if (identity) signalProcess(identity, 'SIGKILL', 'process');
    } catch (error) {
      // A program with a setuid bit has another user.
      if (errorCode(error) !== 'EPERM') throw error;
    }
  }
}

/** Pids of all processes that this one can see. */
export function listPids(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

/** Readings of a {@link ProcessTree} after which it asks all processes for their parents again. */
const FULL_READING = 30;

/**
 * Parents of all processes. They cost as much as all else that is known of a process, so a reading asks only those that are
 * new, and those whose parents have ended; the next full one notices a pid that another process has got meanwhile.
 */
export class ProcessTree {
  #parents: ReadonlyMap<number, number> = new Map();
  #readings = 0;

  /** Reads the tree as it is now. @returns for any process all that descend from it, without those whose parents ended */
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

/** Pids of the children of a process with one thread; none where the kernel does not tell (CONFIG_PROC_CHILDREN). */
export function listChildren(pid: number): number[] {
  return (readProcessFile(pid, `task/${pid}/children`) ?? '').split(' ').filter(Boolean).map(Number);
}

interface Descriptor {
  readonly fd: number;
  /** Opens the same file again, or tells its status. */
  readonly path: string;
  /** Path of a file, with ` (deleted)` behind it when it is gone; `socket:[<inode>]` or the like for others. */
  readonly target: string;
}

/** Descriptors of a process that are open still when they are looked at. */
export function listDescriptors(pid: Pid): Descriptor[] {
  const dir = `/proc/${pid}/fd`;
  return (ifReadable(() => readdirSync(dir)) ?? []).flatMap((fd) => {
    const path = `${dir}/${fd}`;
    const target = ifReadable(() => readlinkSync(path));
    return target === null ? [] : [{ fd: Number(fd), path, target }];
  });
}

/** O_CLOEXEC in the flags of a descriptor; the number of Linux on x86-64 and AArch64. */
const CLOSE_ON_EXEC = 0o2000000;

/** True for an open descriptor of this process that its children inherit. */
export function isInheritable(fd: number): boolean {
  const [, flags] = /^flags:\s*([0-7]+)$/m.exec(readProcessFile('self', `fdinfo/${fd}`) ?? '') ?? [];
  return flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0;
}

/** Limit of this process, see getrlimit(2); Infinity for none. */
export interface ProcessLimit {
  readonly soft: number;
  readonly hard: number;
}

/** Limits of this process on open files. */
export function readOpenFilesLimit(): ProcessLimit {
  return readLimit('Max open files');
}

/** Limits of this process on the size of a file that it writes, in bytes. */
export function readFileSizeLimit(): ProcessLimit {
  return readLimit('Max file size');
}

function readLimit(name: string): ProcessLimit {
  const limits = readProcessFile('self', 'limits') ?? '';
  const [, soft, hard] = new RegExp(`^${name}\\s+(\\S+)\\s+(\\S+)`, 'm').exec(limits) ?? [];
  const toNumber = (limit = 'unlimited') => (limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit));
  return { soft: toNumber(soft), hard: toNumber(hard) };
}

/** Largest limit on open files that root may set: fs.nr_open in proc_sys_fs(5). */
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
  /** Hexadecimal, as the kernel prints it. */
  readonly address: string;
  readonly port: number;
  readonly isListening: boolean;
  readonly inode: string;
}

/** TCP_LISTEN of the kernel's net/tcp_states.h, as `/proc/net/tcp` prints it. */
const TCP_LISTEN = '0A';

/** Sockets of a table of `/proc/net`; none where the kernel has no such table, as without IPv6. */
export function listSockets(table: 'tcp' | 'tcp6' | 'udp' | 'udp6'): BoundSocket[] {
  const lines = (readProcessFile('self', `net/${table}`) ?? '').split('\n').slice(1, -1);
  return lines.map((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    const [address = '', port = ''] = local.split(':');
    return { address, port: Number.parseInt(port, 16), isListening: state === TCP_LISTEN, inode };
  });
}

export interface Mount {
  /** Directory of the file system that is mounted. */
  readonly root: string;
  /** Mount point. */
  readonly dir: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** Fields 4, 5 and 9 to 11 of a line of `mountinfo`; blanks and backslashes in paths are written as `\040`. */
function parseMount(line: string): Mount {
  const toPath = (text: string): string =>
    text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  const [fields = '', source = ''] = line.split(' - ');
  const [, , , root = '', dir = ''] = fields.split(' ');
  const [type = '', , options = ''] = source.split(' ');
  return { root: toPath(root), dir: toPath(dir), type, options: options.split(',') };
}

/** Mounts that this process sees. @param procDir another folder in tests */
export function readMounts(procDir = '/proc'): Mount[] {
  return readFileSync(`${procDir}/self/mountinfo`, 'utf8').split('\n').filter(Boolean).map(parseMount);
}

interface CgroupMembership {
  /** Controllers of a hierarchy of v1, or `name=systemd`; empty in v2, whose only hierarchy has the id 0. */
  readonly controllers: readonly string[];
  readonly isV2: boolean;
  readonly path: string;
}

/** Lines `id:controllers:path`; a path may have colons. */
function parseCgroup(line: string): CgroupMembership {
  const [, id, controllers = '', path = ''] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
  return { controllers: controllers.split(','), isV2: id === '0', path };
}

/** Cgroups of a process; none when it has ended. @param procDir another folder in tests */
export function readCgroups(pid: Pid, procDir = '/proc'): CgroupMembership[] {
  const text = procDir === '/proc' ? readProcessFile(pid, 'cgroup') : readFileSync(`${procDir}/${pid}/cgroup`, 'utf8');
  return (text ?? '').split('\n').filter(Boolean).map(parseCgroup);
}

/**
 * Folder of the cgroup `path` in one of the mounts of its hierarchy, of which each shows only what is below its root;
 * undefined where it is outside of all, as `..` says in a cgroup namespace, cgroup_namespaces(7).
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

/** Bytes that a process made the block layer read and write since it started. */
export interface DiskBytes {
  readonly read: number;
  readonly write: number;
}

/** Open files of one process: opening takes longer than reading. A later process with its pid has others. */
export interface ProcFiles {
  /** With the pid it names one process, however often the pid is used again. */
  readonly startTicks: number;
  /** False for a zombie, too. */
  isAlive(): boolean;
  /** Null when the process is gone, or belongs to another user. */
  readDiskBytes(): DiskBytes | null;
  close(): void;
}

/** Opens the files of the process that has `pid` now; null when there is none. */
export function openProcFiles(pid: number): ProcFiles | null {
  // Not `stat`, which pidusage has open, too: `workers/metrics/usage.ts` must tell its files from all others.
  const statm = openFile(pid, 'statm');
  if (statm === null) return null;
  const startTicks = readStat(pid)?.startTicks;
  // A process that is alive by now had its pid before, too.
  if (startTicks === undefined || !hasMemory(statm)) {
    closeSync(statm);
    return null;
  }
  // The file of another user's process may not be opened.
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

/** The first number of `statm` is the size of the memory, which a process gives back at its end: 0 of a zombie. */
function hasMemory(statm: number): boolean {
  return /^[1-9]/.test(readOpen(statm) ?? '');
}

/** `read_bytes` and `write_bytes` went to and came from storage; `rchar` and `wchar` count pipes and the page cache, too. */
function readDiskBytes(io: number): DiskBytes | null {
  const [, read, write] = /^read_bytes: (\d+)\nwrite_bytes: (\d+)$/m.exec(readOpen(io) ?? '') ?? [];
  return read === undefined || write === undefined ? null : { read: Number(read), write: Number(write) };
}

/** Larger than each of the files. */
const buffer = Buffer.alloc(4096);

/** Reads from the beginning, which gives the whole new content in one call; null when the process is gone (ESRCH). */
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
