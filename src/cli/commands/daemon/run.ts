/** `monocore daemon run`: this process becomes the daemon. */

import { toWireError } from '../../../lib/wire-error.ts';
import type { ErrorReply, LogLevel } from '../../../protocol/http.ts';
import type { CliContext } from '../../connection.ts';
import { exitCodeOf } from '../../exit-codes.ts';

/** Options of `daemon run`. */
export interface DaemonRunOptions {
  readonly logLevel: LogLevel;
  /** Threads that write logs. */
  readonly logWorkers: number;
  /** A signal leaves the services running. */
  readonly leaveRunning?: boolean;
  /** Started by another monocore, which reads what went wrong from stderr. */
  readonly background?: boolean;
}

/** When the daemon has ended, whatever may still be open gets this long: VMs that run on hold sockets of this side. */
const EXIT_GRACE_MS = 50;

/**
 * Runs the daemon until it is told to end.
 *
 * @returns the exit code
 * @throws MonocoreError why it could not start; in the background that goes to stderr as an `ErrorReply` instead
 */
export async function daemonRun(context: CliContext, options: DaemonRunOptions): Promise<number> {
  const { background = false, leaveRunning = false, logLevel, logWorkers } = options;
  try {
    const { runDaemon } = await import('../../../daemon/daemon.ts');
    const exitCode = await runDaemon({ home: context.paths.home, logLevel, logWorkers, background, leaveRunning });
    // Fires only where something keeps the process from ending by itself.
    setTimeout(() => process.exit(exitCode), EXIT_GRACE_MS).unref();
    return exitCode;
  } catch (error) {
    if (!background) throw error;
    const reply: ErrorReply = { error: toWireError(error) };
    context.stderr.write(`${JSON.stringify(reply)}\n`);
    return exitCodeOf(error);
  }
}
