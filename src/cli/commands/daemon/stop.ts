/** `monocore daemon stop`. */
import { type CliContext, connect } from '../../connection.ts';
import { waitForEnd } from '../../daemon/process.ts';

/**
 * Ends the daemon, and with it the services unless `leaveRunning`. Waits until it has ended, which takes as long as the
 * services need to stop.
 */
export async function daemonStop(context: CliContext, options: { readonly leaveRunning?: boolean }): Promise<void> {
  const leaveRunning = options.leaveRunning ?? false;
  const client = await connect(context, leaveRunning ? 'never' : 'for-vms');
  if (!client) return void context.stdout.write('no daemon is running\n');
  const { pid } = await client.daemon();
  await client.stopDaemon({ leave_running: leaveRunning });
  await waitForEnd(pid);
  context.stdout.write(
    leaveRunning ? 'the daemon has ended; its services were left as they are\n' : 'the daemon has ended\n',
  );
}
