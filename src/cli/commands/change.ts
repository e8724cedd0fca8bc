/** `monocore stop`, `restart` and `remove`. */
import type { StopRequest } from '../../protocol/api.ts';
import type { DaemonClient } from '../client.ts';
import { type CliContext, connect, noDaemonError } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { runOperation } from '../operation.ts';
import type { Verb } from '../render/status-text.ts';
import { createSelection } from '../selection.ts';

/** Options of `stop`, `restart` and `remove`. */
export interface ChangeOptions {
  readonly group?: string;
  /** Replaces each service's own stop timeout, milliseconds. */
  readonly timeout?: number;
}

/** Stops services; without a daemon there is nothing to stop. Returns the exit code. */
export async function stop(context: CliContext, names: readonly string[], options: ChangeOptions): Promise<number> {
  const request = createRequest(names, options);
  const client = await connect(context, 'for-vms');
  return client ? change(context, client, 'stop', request) : sayNothing(context, 'nothing runs');
}

/** Restarts services with the config that they were started with. Returns the exit code. */
export async function restart(context: CliContext, names: readonly string[], options: ChangeOptions): Promise<number> {
  const request = createRequest(names, options);
  const client = await connect(context, 'for-records');
  if (!client) throw noDaemonError(context.paths, 'to start services: monocore start');
  return change(context, client, 'restart', request);
}

/** Forgets services that have ended, and removes their log files. Returns the exit code. */
export async function remove(context: CliContext, names: readonly string[], options: ChangeOptions): Promise<number> {
  const request = createRequest(names, options);
  const client = await connect(context, 'for-records');
  return client ? change(context, client, 'remove', request) : sayNothing(context, 'nothing to remove');
}

function createRequest(names: readonly string[], { group, timeout }: ChangeOptions): StopRequest {
  return { ...createSelection(names, group), timeout_ms: timeout ?? null };
}

async function change(
  context: CliContext,
  client: DaemonClient,
  verb: Exclude<Verb, 'start'>,
  request: StopRequest,
): Promise<number> {
  // Also finds out about unknown names before anything is changed.
  const { services } = await client.services(request);
  if (services.length === 0) return sayNothing(context, `nothing to ${verb}`);
  const { exitCode } = await runOperation(context, client, {
    verb,
    names: services.map(({ name }) => name),
    perform: (signal) => client[verb](request, signal),
  });
  return exitCode;
}

function sayNothing({ stdout }: CliContext, text: string): number {
  stdout.write(`${text}\n`);
  return EXIT.done;
}
