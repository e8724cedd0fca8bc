/** `monocore remove`. */
import { type CliContext, connect } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { type ChangeOptions, changeServices, createRequest } from '../operation.ts';

/** Stops services, forgets them and deletes their logs. */
export async function remove(context: CliContext, options: ChangeOptions, names: readonly string[]): Promise<number> {
  const request = createRequest(names, options);
  const client = await connect(context, 'for-records');
  if (client) return changeServices(context, client, 'remove', request);
  context.stdout.write('nothing to remove\n');
  return EXIT.done;
}
