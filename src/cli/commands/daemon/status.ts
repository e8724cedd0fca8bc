/** `monocore daemon status`. */
import { toPrintableJson } from '../../../lib/control-characters.ts';
import { formatDuration } from '../../../lib/units.ts';
import type { DaemonStatus, ThreadStatus } from '../../../protocol/http.ts';
import { type CliContext, requireDaemon } from '../../connection.ts';
import { type Colors, padderOf } from '../../render/terminal-text.ts';

/** Prints what the daemon reports about itself. Never starts a daemon. @throws MonocoreError `DaemonUnreachable` */
export async function daemonStatus(context: CliContext, options: { readonly json?: boolean }): Promise<void> {
  const hint = 'to start one with the services of monocore.toml: monocore start';
  const status = await (await requireDaemon(context, 'never', hint)).daemon();
  context.stdout.write(
    options.json ? `${toPrintableJson(status)}\n` : renderDaemonStatus(status, Date.now(), context.colors),
  );
}

/** A line per fact. Ends in a newline. @param now milliseconds since the epoch */
export function renderDaemonStatus(status: DaemonStatus, now: number, colors: Colors): string {
  const facts: [string, string][] = [
    ['PID', String(status.pid)],
    ['Version', status.version],
    ['Home', status.home],
    ['Started', `${status.started_at} (${formatDuration(now - Date.parse(status.started_at))} ago)`],
    ['Services', String(status.services)],
    ...status.threads.map((thread): [string, string] => [`Thread ${thread.name}`, describeThread(thread)]),
  ];
  const pad = padderOf(facts.map(([name]) => name));
  return facts.map(([name, value]) => `${colors.bold(pad(name))}  ${value}\n`).join('');
}

function describeThread({ state, restarts }: ThreadStatus): string {
  // A thread starts when a service first needs it.
  const label = state === 'stopped' ? 'not in use' : state;
  if (restarts === 0) return label;
  return `${label}, restarted ${restarts === 1 ? 'once' : `${restarts} times`}`;
}
