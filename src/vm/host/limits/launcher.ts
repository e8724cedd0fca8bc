/** Limits that a process sets on itself before it executes its program: cgroups and RLIMIT_NOFILE. */
import { readMaxOpenFilesLimit, readOpenFilesLimit } from '../../../lib/proc.ts';
import type { Scope } from './systemd-scope.ts';

/**
 * Limit on open files, soft and hard, for a service that asks for `wanted`; null leaves the daemon's limit. Only root
 * can raise a hard limit, setrlimit(2).
 *
 * @param mostAllowed maximum that the daemon can grant
 * @returns the limit and, if it is not the wanted one, the reason, for people
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
 * The shell sets the limits on itself and becomes the program: pid and start time do not change, and the program never
 * runs without its limits. If a limit cannot be set, the shell ends with a message on stderr.
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
 * The shell joins the scope, or becomes systemd-run, which creates it and then becomes the program: pid and start time
 * do not change. XDG_RUNTIME_DIR locates the bus of a user's manager; the program gets back its own value.
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

/** Program with its arguments. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/**
 * Wraps `command` so that it runs within limits.
 *
 * @param openFiles RLIMIT_NOFILE, soft and hard; null leaves it unchanged
 * @param cgroups folders of the cgroups to join, one per hierarchy
 */
export function wrapCommand(command: Command, openFiles: number | null, cgroups: readonly string[]): Command {
  if (openFiles === null && cgroups.length === 0) return command;
  const joined = cgroups.map((dir) => `${dir}/cgroup.procs`);
  const args = ['-c', LAUNCHER, 'sh', String(openFiles ?? '-'), ...joined, '--', command.program, ...command.args];
  return { program: '/bin/sh', args };
}

/** Wraps `command` so that it runs in the scope, which the first such command creates. */
export function wrapInScope({ program, args }: Command, { dir, runtimeDir, words }: Scope): Command {
  const place = [`${dir}/cgroup.procs`, runtimeDir ?? '-'];
  return { program: '/bin/sh', args: ['-c', SCOPE_LAUNCHER, 'sh', ...place, ...words, '--', program, ...args] };
}
