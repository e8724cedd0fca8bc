/** `monocore daemon run`: this process becomes the daemon. */
import { toWireError } from '../../../lib/errors.ts';
import type { ErrorReply, LogLevel } from '../../../protocol/http.ts';
import type { CliContext } from '../../connection.ts';
import { exitCodeOf } from '../../exit-codes.ts';

interface DaemonRunOptions {
  readonly logLevel: LogLevel;
  readonly logWorkers: number;
  readonly leaveRunning?: boolean;
  /** Started by another monocore, which reads the error from stderr. */
  readonly background?: boolean;
}

/** Time for open handles after the daemon's end: VMs that keep running hold sockets to it. */
const EXIT_GRACE_MS = 50;

/**
 * Runs the daemon until it is asked to end.
 *
 * @throws MonocoreError if it could not start; in the background the error goes to stderr as an `ErrorReply` instead
 */
export async function daemonRun(context: CliContext, options: DaemonRunOptions): Promise<number> {
  const { background = false, leaveRunning = false, logLevel, logWorkers } = options;
  try {
    const { runDaemon } = await import('../../../daemon/daemon.ts');
    const exitCode = await runDaemon({ home: context.paths.home, logLevel, logWorkers, background, leaveRunning });
    // Fires only if something keeps the process alive.
    setTimeout(() => process.exit(exitCode), EXIT_GRACE_MS).unref();
    return exitCode;
  } catch (error) {
    if (!background) throw error;
    const reply: ErrorReply = { error: toWireError(error) };
    context.stderr.write(`${JSON.stringify(reply)}\n`);
    return exitCodeOf(error);
  }
}
