/** `monocore stop`, `restart` and `remove`. */
import { MonocoreError } from '../../lib/errors.ts';
import type { Selection } from '../../protocol/api.ts';
import type { ServiceStatus } from '../../protocol/service.ts';
import type { DaemonClient } from '../client.ts';
import { type CliContext, connect, requireDaemon } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { runOperation } from '../operation.ts';
import { chooseServices, commandFor, type ScopeOptions } from '../project.ts';
import { confirm } from '../question.ts';
import { describeData } from '../render/removal.ts';
import type { Verb } from '../render/status-text.ts';

interface ChangeOptions extends ScopeOptions {
  /** Overrides the stop timeout of each service, in milliseconds. */
  readonly timeout?: number;
}

export async function stop(context: CliContext, options: ChangeOptions, names: readonly string[]): Promise<number> {
  const selection = await chooseServices(names, options, 'refuse');
  const client = await connect(context, 'for-vms');
  if (!client) return say(context, 'no services are running');
  const services = await listServices(client, selection);
  return change(context, client, 'stop', selection, services, options);
}

/** Restarts services with the config that they were started with. */
export async function restart(context: CliContext, options: ChangeOptions, names: readonly string[]): Promise<number> {
  const selection = await chooseServices(names, options, 'refuse');
  const client = await requireDaemon(context, 'for-records', `to start services: ${commandFor('start', options.file)}`);
  const services = await listServices(client, selection);
  // The daemon restarts an undeclared service only if the request names it.
  const due = services.filter(({ name, undeclared }) => !undeclared || names.includes(name));
  return change(context, client, 'restart', selection, due, options);
}

/**
 * Stops services, forgets them and deletes their logs and disks.
 *
 * @throws MonocoreError `Usage` without `--yes` where there is no terminal to ask on
 */
export async function remove(
  context: CliContext,
  options: ScopeOptions & { readonly yes?: boolean },
  names: readonly string[],
): Promise<number> {
  const selection = await chooseServices(names, options, 'refuse');
  const client = await connect(context, 'for-records');
  if (!client) return say(context, 'nothing to remove');
  const services = await listServices(client, selection);
  if (services.length > 0 && !options.yes) {
    const data = describeData(context.paths, services);
    if (!process.stdin.isTTY || !context.stdout.isTTY) {
      throw new MonocoreError('Usage', `remove deletes data, and there is no terminal to ask on:\n${data}`, {
        details: { hint: 'to delete it without asking: --yes' },
      });
    }
    context.stdout.write(data);
    const answer = await confirm('Remove?', context.stdout);
    if (!answer) return say(context, 'nothing was removed', answer === null ? EXIT.interrupted : EXIT.failed);
  }
  return change(context, client, 'remove', selection, services, options);
}

function say({ stdout }: CliContext, text: string, exitCode: number = EXIT.done): number {
  stdout.write(`${text}\n`);
  return exitCode;
}

/** Services that `selection` matches. @throws MonocoreError `ServiceUnknown`, before anything is changed */
async function listServices(client: DaemonClient, selection: Selection): Promise<readonly ServiceStatus[]> {
  return (await client.services(selection)).services;
}

async function change(
  context: CliContext,
  client: DaemonClient,
  verb: Exclude<Verb, 'start'>,
  selection: Selection,
  services: readonly ServiceStatus[],
  { timeout, file }: ChangeOptions,
): Promise<number> {
  const { names, group, project } = selection;
  if (services.length === 0) {
    return say(context, project ? `nothing to ${verb} in project ${project.name}` : `nothing to ${verb}`);
  }
  const all = names.length === 0 && group === null && !project;
  const request = { ...selection, all, timeout_ms: timeout ?? null };
  const shown = services.map(({ name }) => name);
  return runOperation(context, client, verb, shown, (signal) => client[verb](request, signal), file);
}
