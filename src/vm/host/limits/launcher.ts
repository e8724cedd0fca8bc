/** Limits that a process puts on itself before its program runs: cgroups and RLIMIT_NOFILE. */
import { readMaxOpenFilesLimit, readOpenFilesLimit } from '../../../lib/proc.ts';
import type { Scope } from './systemd-scope.ts';

/**
 * Limit on the open files of a service that asks for `wanted`, soft and hard alike; null leaves the daemon's. Only root can
 * raise a hard limit, setrlimit(2).
 *
 * @param mostAllowed most that the daemon may give
 * @returns the limit, and the reason why it is not the wanted one, for people
 */
export function grantOpenFiles(
  wanted: number | null,
  mostAllowed = process.getuid?.() === 0 ? readMaxOpenFilesLimit() : readOpenFilesLimit().hard,
): { readonly count: number | null; readonly note: string | null } {
  if (wanted === null || wanted <= mostAllowed) return { count: wanted, note: null };
  return { count: mostAllowed, note: `open_files is ${mostAllowed} and not ${wanted}: the daemon may not allow more` };
}

/**
 * `sh -c LAUNCHER sh <open files or -> <cgroup.procs…> -- <program> <arguments…>`
 *
 * The shell limits itself and becomes the program: pid and start time stay, and the program never runs without its
 * limits. A limit that cannot be set ends the shell, with its message on stderr.
 */
const LAUNCHER = `
set -e
[ "$1" = - ] || ulimit -n "$1"
shift
while [ "$1" != -- ]; do
  echo $$ >"$1"
  shift
done
shift
exec "$@"
`;

/**
 * `sh -c SCOPE_LAUNCHER sh <cgroup.procs> <XDG_RUNTIME_DIR or -> <systemd-run> <arguments…> -- <program> <arguments…>`
 *
 * The shell joins the scope, or becomes systemd-run, which makes it and becomes the program: pid and start time stay. The
 * bus of a user's manager is found by XDG_RUNTIME_DIR, and the program gets its own again.
 */
const SCOPE_LAUNCHER = `
if { echo $$ >"$1"; } 2>/dev/null; then
  while [ "$1" != -- ]; do shift; done
  shift
elif [ "$2" = - ]; then
  shift 2
else
  own=--setenv=XDG_RUNTIME_DIR=\${XDG_RUNTIME_DIR-$2}
  run=$3
  export XDG_RUNTIME_DIR="$2"
  shift 3
  set -- "$run" --user "$own" "$@"
fi
exec "$@"
`;

/** A program and its arguments. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/**
 * Wraps `command` so that it runs within limits.
 *
 * @param openFiles RLIMIT_NOFILE, soft and hard; null leaves it
 * @param cgroups folders of the cgroups that it joins, one per hierarchy
 */
export function wrapCommand(command: Command, openFiles: number | null, cgroups: readonly string[]): Command {
  if (openFiles === null && cgroups.length === 0) return command;
  const joined = cgroups.map((dir) => `${dir}/cgroup.procs`);
  const args = ['-c', LAUNCHER, 'sh', String(openFiles ?? '-'), ...joined, '--', command.program, ...command.args];
  return { program: '/bin/sh', args };
}

/** Wraps `command` so that it runs in the scope, which it makes if it is the first in it. */
export function wrapInScope({ program, args }: Command, { dir, runtimeDir, words }: Scope): Command {
  const place = [`${dir}/cgroup.procs`, runtimeDir ?? '-'];
  return { program: '/bin/sh', args: ['-c', SCOPE_LAUNCHER, 'sh', ...place, ...words, '--', program, ...args] };
}
