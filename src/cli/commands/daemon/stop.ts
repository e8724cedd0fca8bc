/** `monocore daemon stop`. */
import { type CliContext, connect } from '../../connection.ts';
import { waitForEnd } from '../../daemon/process.ts';
import { EXIT } from '../../exit-codes.ts';

/**
 * Ends the daemon, and with it the services unless `leaveRunning`. Waits until it has ended, which takes as long as the
 * services need to stop.
 */
export async function daemonStop(context: CliContext, options: { readonly leaveRunning?: boolean }): Promise<number> {
  const leaveRunning = options.leaveRunning ?? false;
  const client = await connect(context, leaveRunning ? 'never' : 'for-vms');
  if (!client) {
    context.stdout.write('no daemon is running\n');
    return EXIT.done;
  }
  const { pid } = await client.daemon();
  await client.stopDaemon({ leave_running: leaveRunning });
  await waitForEnd(pid);
  context.stdout.write(leaveRunning ? 'the daemon has ended, its VMs keep running\n' : 'the daemon has ended\n');
  return EXIT.done;
}
