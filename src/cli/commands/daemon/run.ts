/** `monocore daemon run`: this process becomes the daemon. */
import { toWireError } from '../../../lib/errors.ts';
import type { ErrorReply } from '../../../protocol/http.ts';
import { DaemonClient } from '../../client.ts';
import type { CliContext } from '../../connection.ts';
import { askStatus, type DaemonRunOptions, toSettings, waitForEnd } from '../../daemon/process.ts';
import { exitCodeOf } from '../../exit-codes.ts';

/** Time to close open handles once the daemon has ended: VMs that keep running hold sockets to it. */
const EXIT_GRACE_MS = 50;

/** Deadline for the end of a background daemon, which only ends its threads. */
const TAKE_OVER_TIMEOUT_MS = 30_000;

/**
 * Runs the daemon until it is asked to end. A foreground daemon replaces a background one and keeps its services
 * running: otherwise a service manager could not start its unit after a command had started a daemon.
 *
 * @throws MonocoreError if the daemon cannot start; in the background the error is written to stderr as an `ErrorReply`
 * instead
 */
export async function daemonRun(context: CliContext, options: DaemonRunOptions): Promise<number> {
  try {
    if (!options.background) await takeOver(context);
    const { runDaemon } = await import('../../../daemon/daemon.ts');
    const exitCode = await runDaemon({ home: context.paths.home, settings: toSettings(options) });
    // Fires only if something still keeps the process alive.
    setTimeout(() => process.exit(exitCode), EXIT_GRACE_MS).unref();
    return exitCode;
  } catch (error) {
    if (!options.background) throw error;
    const reply: ErrorReply = { error: toWireError(error) };
    context.stderr.write(`${JSON.stringify(reply)}\n`);
    return exitCodeOf(error);
  }
}

/** Ends a daemon in the background. @throws MonocoreError `CallTimeout` if it does not end */
async function takeOver({ paths, stderr }: CliContext): Promise<void> {
  const client = new DaemonClient(paths.socket);
  const status = await askStatus(client);
  if (!status?.settings?.background) return;
  stderr.write(`monocore: replacing the daemon in the background (process ${status.pid}); its services keep running\n`);
  await client.stopDaemon({ leave_running: true });
  await waitForEnd(status.pid, TAKE_OVER_TIMEOUT_MS);
}
