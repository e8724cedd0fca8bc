/** `monocore status`. */

import { escapeJson } from '../../lib/control-characters.ts';
import type { Selection } from '../../protocol/api.ts';
import type { ServicesReply } from '../../protocol/http.ts';
import { select } from '../../protocol/selection.ts';
import { type CliContext, connect, listStoredServices } from '../connection.ts';
import { chooseServices, commandFor, type ScopeOptions } from '../project.ts';
import { renderStatusTable } from '../render/status-table.ts';
import { textOptionsFor } from '../render/terminal-text.ts';

/** Prints the table of services. Never starts a daemon: without one the state files answer. */
export async function status(
  context: CliContext,
  options: ScopeOptions & { readonly json?: boolean },
  names: readonly string[],
): Promise<void> {
  const { stdout } = context;
  const { project = null, ...selection } = await chooseServices(names, options, 'all');
  const client = await connect(context, 'never');
  // The table also counts the services of other projects.
  const asked = options.json ? { ...selection, project } : selection;
  const reply = client ? await client.servicesText(asked) : await readStored(context, asked, options.file);
  if (options.json) return void stdout.write(escapeJson(reply.endsWith('\n') ? reply : `${reply}\n`));
  const { services } = JSON.parse(reply) as ServicesReply;
  const shown = select(services, { names: [], group: null, project }, 'the daemon');
  if (services.length === 0) {
    stdout.write(
      `no services are known for ${context.paths.home}; to start those of a config: ${commandFor('start', options.file)}\n`,
    );
    return;
  }
  const otherServices = services.length - shown.length;
  stdout.write(renderStatusTable(shown, { ...textOptionsFor(stdout), now: Date.now(), otherServices }));
}

/** Answer in the form that a daemon gives, read from the state files. @throws MonocoreError `ServiceUnknown` */
async function readStored(context: CliContext, selection: Selection, file: string | undefined): Promise<string> {
  const all = await listStoredServices(context, file);
  const services = all.length === 0 ? [] : select(all, selection, context.paths.home);
  return JSON.stringify({ services } satisfies ServicesReply);
}
