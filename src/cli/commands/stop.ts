/** `monocore stop`. */
import { type CliContext, connect } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { type ChangeOptions, changeServices, createRequest } from '../operation.ts';

/** Stops services. Without a daemon and without VMs that outlived theirs there is nothing to stop. */
export async function stop(context: CliContext, options: ChangeOptions, names: readonly string[]): Promise<number> {
  const request = createRequest(names, options);
  const client = await connect(context, 'for-vms');
  if (client) return changeServices(context, client, 'stop', request);
  context.stdout.write('no services are running\n');
  return EXIT.done;
}
