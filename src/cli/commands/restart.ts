/** `monocore restart`. */
import { type CliContext, connect, noDaemonError } from '../connection.ts';
import { type ChangeOptions, changeServices, createRequest } from '../operation.ts';

/** Restarts services with the config that they were started with. */
export async function restart(context: CliContext, options: ChangeOptions, names: readonly string[]): Promise<number> {
  const request = createRequest(names, options);
  const client = await connect(context, 'for-records');
  if (!client) throw noDaemonError(context.paths, 'to start services: monocore start');
  return changeServices(context, client, 'restart', request);
}
