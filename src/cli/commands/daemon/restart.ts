/** `monocore daemon restart`: replaces the daemon while every VM keeps running. */
import { errorTextWithPath, MonocoreError } from '../../../lib/errors.ts';
import { readProcessFile } from '../../../lib/proc.ts';
import type { Selection } from '../../../protocol/api.ts';
import type { DaemonStatus } from '../../../protocol/http.ts';
import type { ServiceStatus } from '../../../protocol/service.ts';
import { DaemonClient } from '../../client.ts';
import { type CliContext, connect } from '../../connection.ts';
import { askStatus, ownDaemonCommand, startDaemon, waitForEnd } from '../../daemon/process.ts';
import { findUnit } from '../../daemon/systemd-unit.ts';

/** Deadline for the end of the old daemon, which has no services to stop and only ends its threads. */
const END_TIMEOUT_MS = 30_000;

const EVERYTHING: Selection = { names: [], group: null };

/**
 * Ends the daemon like `daemon stop --leave-running` and starts this version of monocore in the background, with the
 * settings of the old daemon, or with defaults if the old daemon does not report its settings.
 *
 * @throws MonocoreError `Usage` for a daemon in the foreground, which only its service manager can start again;
 * `CallTimeout` if the old daemon does not end; the startup error of the new daemon
 */
export async function daemonRestart(context: CliContext): Promise<void> {
  const client = new DaemonClient(context.paths.socket);
  const old = await askStatus(client);
  if (!old) return startForVms(context);
  refuseForeground(old);

  const { services: before } = await client.services(EVERYTHING);
  await client.stopDaemon({ leave_running: true });
  await waitForEnd(old.pid, END_TIMEOUT_MS);
  const next = await startNext(context, client, old);
  const { services: after } = await client.services(EVERYTHING);
  context.stdout.write(`monocore ${next.version} (process ${next.pid}) replaced ${old.version} (process ${old.pid})\n`);
  context.stdout.write(renderAdopted(before, after));
}

/** Starts a daemon that adopts VMs whose daemon has ended. */
async function startForVms(context: CliContext): Promise<void> {
  const client = await connect(context, 'for-vms');
  if (!client) return void context.stdout.write('no daemon is running\n');
  const { pid } = await client.daemon();
  const { services } = await client.services(EVERYTHING);
  context.stdout.write(`no daemon was running; started process ${pid}\n`);
  context.stdout.write(renderAdopted(services, services));
}

function refuseForeground({ pid, settings }: DaemonStatus): void {
  if (!settings || settings.background) return;
  const unit = findUnit(readProcessFile(pid, 'cgroup') ?? '');
  const again = unit ? `${unit.manager} start ${unit.name}` : 'then start it as before';
  throw new MonocoreError(
    'Usage',
    `the daemon (process ${pid}) runs in the foreground: only the program that started it can restart it`,
    { details: { hint: `to restart it while the VMs keep running: monocore daemon stop --leave-running; ${again}` } },
  );
}

async function startNext({ paths }: CliContext, client: DaemonClient, old: DaemonStatus): Promise<DaemonStatus> {
  try {
    return await startDaemon(paths, client, ownDaemonCommand(paths.home, old.settings));
  } catch (error) {
    const code = error instanceof MonocoreError ? error.code : 'Internal';
    const message = `the old daemon has ended, but the new one does not start: ${errorTextWithPath(error)}`;
    const hint = 'the VMs keep running; the next daemon that starts adopts them';
    throw new MonocoreError(code, message, { cause: error, details: { hint } });
  }
}

/** A line that counts the adopted services, and one that names those that ended meanwhile. */
function renderAdopted(before: readonly ServiceStatus[], after: readonly ServiceStatus[]): string {
  const pids = new Map(after.map(({ name, pid }) => [name, pid]));
  const running = before.filter(({ pid }) => pid !== null);
  const kept = running.filter(({ name, pid }) => pids.get(name) === pid).map(({ name }) => name);
  const ended = running.filter(({ name, pid }) => pids.get(name) !== pid).map(({ name }) => name);
  const lines = [kept.length > 0 ? `adopted: ${kept.join(', ')}` : 'no services were running'];
  if (ended.length > 0) lines.push(`ended meanwhile: ${ended.join(', ')}; monocore status shows how`);
  return lines.map((line) => `${line}\n`).join('');
}
