/**
 * The parent of a plain process: records how the command ended, even when the daemon is dead, and holds the streams
 * open until somebody has read them.
 */

/** Descriptor on which the shim waits for leave to end. */
export const RELEASE_FD = 3;

/**
 * `sh -c SHIM sh <exit record> <command> <arguments…>`, leader of its own process group.
 *
 * Signals go to the whole group; the shim has a handler for each, so that it outlives them while the command, for
 * which handlers are reset in a subshell, does not. The command runs in the foreground, because a shell without job
 * control starts background commands with SIGINT and SIGQUIT ignored (POSIX sh, 2.11), for good. The subshell notes its
 * pid, which the command takes over from it; `$$` would be the shim's. What the shim itself says of signals is no output
 * of the service. What is assigned has names that nobody else uses: a variable of the service by that name would change.
 */
export const SHIM = `
exec 5>>"$1"
shift
trap : HUP INT QUIT USR1 USR2 ALRM TERM
exec 4>&2 2>/dev/null
(
  read -r mc_pid mc_rest </proc/self/stat
  echo "started $mc_pid" >&5
  exec "$@" 2>&4 3<&- 4>&- 5>&-
)
echo "exit $?" >&5
read -r mc_rest <&3
`;
