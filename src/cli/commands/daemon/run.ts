/** `monocore daemon run`: this process becomes the daemon. */
import { toWireError } from '../../../lib/errors.ts';
import type { ErrorReply } from '../../../protocol/http.ts';
import type { CliContext } from '../../connection.ts';
import { type DaemonRunOptions, toSettings } from '../../daemon/process.ts';
import { exitCodeOf } from '../../exit-codes.ts';

/** Time for open handles after the daemon's end: VMs that keep running hold sockets to it. */
const EXIT_GRACE_MS = 50;

/**
 * Runs the daemon until it is asked to end.
 *
 * @throws MonocoreError if it could not start; in the background the error goes to stderr as an `ErrorReply` instead
 */
export async function daemonRun(context: CliContext, options: DaemonRunOptions): Promise<number> {
  try {
    const { runDaemon } = await import('../../../daemon/daemon.ts');
    const exitCode = await runDaemon({ home: context.paths.home, settings: toSettings(options) });
    // Fires only if something keeps the process alive.
    setTimeout(() => process.exit(exitCode), EXIT_GRACE_MS).unref();
    return exitCode;
  } catch (error) {
    if (!options.background) throw error;
    const reply: ErrorReply = { error: toWireError(error) };
    context.stderr.write(`${JSON.stringify(reply)}\n`);
    return exitCodeOf(error);
  }
}
