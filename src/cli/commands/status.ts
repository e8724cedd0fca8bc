/** `monocore status`. */
import type { ServicesReply } from '../../protocol/http.ts';
import { type CliContext, connect } from '../connection.ts';
import { createSelection } from '../options.ts';
import { renderStatusTable } from '../render/status-table.ts';
import { textOptionsFor } from '../render/terminal-text.ts';

/** Prints the table of services, which is empty if no daemon is running. */
export async function status(
  context: CliContext,
  options: { readonly group?: string; readonly json?: boolean },
  names: readonly string[],
): Promise<void> {
  const { stdout } = context;
  const selection = createSelection(names, options.group);
  const client = await connect(context, 'for-records');
  const reply = client
    ? await client.servicesText(selection)
    : JSON.stringify({ services: [] } satisfies ServicesReply);
  if (options.json) return void stdout.write(reply.endsWith('\n') ? reply : `${reply}\n`);
  const { services } = JSON.parse(reply) as ServicesReply;
  stdout.write(renderStatusTable(services, { ...textOptionsFor(stdout), now: Date.now() }));
}
