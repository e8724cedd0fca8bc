/** `monocore stop`, `restart` and `remove`. */
import type { StopRequest } from '../../protocol/api.ts';
import { type CliContext, connect, requireDaemon, type StartPolicy } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { runOperation } from '../operation.ts';
import { createSelection } from '../options.ts';
import type { Verb } from '../render/status-text.ts';

interface ChangeOptions {
  readonly group?: string;
  /** Replaces each service's own stop timeout, milliseconds. */
  readonly timeout?: number;
}

export const stop = createAction('stop', 'for-vms', 'no services are running');
/** Restarts services with the config that they were started with. */
export const restart = createAction('restart', 'for-records', null);
/** Stops services, forgets them and deletes their logs. */
export const remove = createAction('remove', 'for-records', 'nothing to remove');

/** @param withoutDaemon message when no daemon is running and none is needed; null for a verb that needs one */
function createAction(verb: Exclude<Verb, 'start'>, policy: StartPolicy, withoutDaemon: string | null) {
  return async (context: CliContext, options: ChangeOptions, names: readonly string[]): Promise<number> => {
    const { stdout } = context;
    const selection = createSelection(names, options.group);
    const all = selection.names.length === 0 && selection.group === null;
    const request: StopRequest = { ...selection, all, timeout_ms: options.timeout ?? null };
    const client =
      withoutDaemon === null
        ? await requireDaemon(context, policy, 'to start services: monocore start')
        : await connect(context, policy);
    if (!client) {
      stdout.write(`${withoutDaemon}\n`);
      return EXIT.done;
    }
    // Refuses unknown names before anything is changed.
    const { services } = await client.services(request);
    if (services.length > 0) {
      const shown = services.map(({ name }) => name);
      return runOperation(context, client, verb, shown, (signal) => client[verb](request, signal));
    }
    stdout.write(`nothing to ${verb}\n`);
    return EXIT.done;
  };
}
