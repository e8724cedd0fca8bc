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
 * which handlers are reset at exec, does not. A signal ends the shell's `wait` early: it waits again while the command
 * is there (a zombie is, until waited for). What the shell itself says of signals is no output of the service. Nothing
 * is assigned before the command runs: a variable of the service by that name would change.
 */
export const SHIM = `
exec 5>>"$1"
shift
trap : HUP INT QUIT USR1 USR2 ALRM TERM
exec 4>&2 2>/dev/null
"$@" 2>&4 3<&- 4>&- 5>&- &
command=$!
echo "started $command" >&5
while :; do
  wait "$command"
  status=$?
  kill -0 "$command" 2>/dev/null || break
done
echo "exit $status" >&5
read -r _ <&3
`;
