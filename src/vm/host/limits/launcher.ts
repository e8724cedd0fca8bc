/** Puts limits on a process before its program runs. */

/**
 * `sh -c LAUNCHER sh <open files or -> <cgroup.procs…> -- <program> <arguments…>`
 *
 * The shell limits itself and becomes the program: pid and start time stay, and there is no instant at which the
 * program runs without its limits. What cannot be set ends it, with the shell's message on stderr.
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

/** A program and its arguments. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/**
 * The command that runs `command` within limits.
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
