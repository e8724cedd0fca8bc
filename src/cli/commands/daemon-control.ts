/** `monocore daemon status` and `stop`. */
import type { DaemonStatus } from '../../protocol/api.ts';
import { type CliContext, connect, noDaemonError } from '../connection.ts';
import { waitForEnd } from '../daemon/process.ts';
import { EXIT } from '../exit-codes.ts';
import { renderDaemonStatus } from '../render/daemon-status.ts';

/** Prints what the daemon is. Never starts one. Returns the exit code; throws `DaemonUnreachable` when none runs. */
export async function daemonStatus(context: CliContext, options: { readonly json?: boolean }): Promise<number> {
  const client = await connect(context, 'never');
  if (!client) throw noDaemonError(context.paths, 'monocore start starts one, with the services of monocore.toml');
  const document = await client.daemonText();
  context.stdout.write(
    options.json
      ? `${document.trimEnd()}\n`
      : renderDaemonStatus(JSON.parse(document) as DaemonStatus, Date.now(), context.colors),
  );
  return EXIT.done;
}

/**
 * Ends the daemon, and with it the services unless `leaveRunning`. Waits until it has ended, which takes as long as the
 * services need to stop. Returns the exit code.
 */
export async function daemonStop(context: CliContext, options: { readonly leaveRunning?: boolean }): Promise<number> {
  const leaveRunning = options.leaveRunning ?? false;
  const client = await connect(context, leaveRunning ? 'never' : 'for-vms');
  if (!client) {
    context.stdout.write('no daemon runs\n');
    return EXIT.done;
  }
  const { pid } = await client.daemon();
  await client.stopDaemon({ leave_running: leaveRunning });
  await waitForEnd(pid);
  context.stdout.write(leaveRunning ? 'the daemon has ended, its VMs keep running\n' : 'the daemon has ended\n');
  return EXIT.done;
}
