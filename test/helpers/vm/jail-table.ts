/** Confinement of a process, read from `/proc` by root: its user, rights, namespaces, limits and files. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { listDescriptors } from '../../../src/lib/proc.ts';

const NAMESPACES = ['mnt', 'pid', 'ipc', 'uts', 'net', 'user'] as const;

/** Fields of the same names in proc(5). */
export interface Holding {
  /** Real, effective, saved and file system user, and group. */
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  readonly groups: readonly number[];
  /** Inheritable, permitted, effective, bounding and ambient set. */
  readonly capabilities: readonly string[];
  readonly noNewPrivs: boolean;
  readonly seccomp: boolean;
  /** Namespaces that are not those of the reader. */
  readonly privateNamespaces: readonly string[];
  readonly environment: string;
  readonly mounts: readonly { readonly path: string; readonly options: readonly string[] }[];
  /** Names in its root. */
  readonly root: readonly string[];
  /** Hard limits. */
  readonly limits: Readonly<Record<'core' | 'files' | 'fileBytes', number>>;
  /** Targets of its descriptors that are not its own pipes, sockets and events. */
  readonly files: readonly string[];
}

/** Reads it all. @throws the system's error for a process that has ended */
export function readHolding(pid: number): Holding {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)![1]!.trim();
  const numbers = (name: string): number[] => field(name).split(/\s+/).filter(Boolean).map(Number);
  const limitLines = readFileSync(`/proc/${pid}/limits`, 'utf8');
  const limit = (name: string): number => Number(new RegExp(`^${name}\\s+\\S+\\s+(\\S+)`, 'm').exec(limitLines)![1]);
  const mountLines = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trimEnd().split('\n');
  return {
    uids: numbers('Uid'),
    gids: numbers('Gid'),
    groups: numbers('Groups'),
    capabilities: ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map(field),
    noNewPrivs: field('NoNewPrivs') === '1',
    seccomp: field('Seccomp') === '2',
    privateNamespaces: NAMESPACES.filter(
      (name) => readlinkSync(`/proc/${pid}/ns/${name}`) !== readlinkSync(`/proc/self/ns/${name}`),
    ),
    environment: readFileSync(`/proc/${pid}/environ`, 'utf8'),
    mounts: mountLines.map((line) => {
      const [, , , , path, options] = line.split(' ');
      return { path: path!, options: options!.split(',') };
    }),
    root: readdirSync(`/proc/${pid}/root`).sort(),
    limits: {
      core: limit('Max core file size'),
      files: limit('Max open files'),
      fileBytes: limit('Max file size'),
    },
    files: listDescriptors(pid)
      .map(({ target }) => target)
      .filter((target) => !/^(socket|anon_inode|pipe|\/memfd)/.test(target)),
  };
}

export const NO_CAPABILITIES: readonly string[] = Array<string>(5).fill('0000000000000000');
