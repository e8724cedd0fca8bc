/** `monocore daemon restart`: a new daemon takes the place of the old one, and every VM lives on. */
import { errorText, MonocoreError } from '../../../lib/errors.ts';
import { readProcessFile } from '../../../lib/proc.ts';
import type { Selection } from '../../../protocol/api.ts';
import type { DaemonStatus } from '../../../protocol/http.ts';
import type { ServiceStatus } from '../../../protocol/service.ts';
import { DaemonClient } from '../../client.ts';
import { type CliContext, connect } from '../../connection.ts';
import { askStatus, ownDaemonCommand, startDaemon, waitForEnd } from '../../daemon/process.ts';
import { findUnit } from '../../daemon/systemd-unit.ts';
import { EXIT } from '../../exit-codes.ts';

/** A daemon that leaves its services running has only its threads to end. */
const END_TIMEOUT_MS = 30_000;

const EVERYTHING: Selection = { names: [], group: null };

/**
 * Ends the daemon as `daemon stop --leave-running` does and starts this version of monocore in its place, in the
 * background and with the old one's settings. One that is too old to tell them gets the usual ones.
 *
 * @returns the exit code
 * @throws MonocoreError `Usage` for a daemon in the foreground, which whoever started it has to start again;
 * `CallTimeout` when the old one does not end; why the new one cannot start
 */
export async function daemonRestart(context: CliContext): Promise<number> {
  const client = new DaemonClient(context.paths.socket);
  const old = await askStatus(client);
  if (!old) return startForVms(context);
  refuseForeground(old);

  const { services: before } = await client.services(EVERYTHING);
  await client.stopDaemon({ leave_running: true });
  await waitForEnd(old.pid, END_TIMEOUT_MS);
  const next = await startNext(context, client, old);
  const { services: after } = await client.services(EVERYTHING);
  context.stdout.write(
    `monocore ${next.version}, process ${next.pid}, has taken the place of ${old.version}, process ${old.pid}\n`,
  );
  context.stdout.write(renderTakeover(before, after));
  return EXIT.done;
}

/** Without a daemon there is nothing to replace, but VMs may have outlived theirs. */
async function startForVms(context: CliContext): Promise<number> {
  const client = await connect(context, 'for-vms');
  if (!client) {
    context.stdout.write('no daemon is running\n');
    return EXIT.done;
  }
  const { pid } = await client.daemon();
  const { services } = await client.services(EVERYTHING);
  context.stdout.write(`no daemon ran; process ${pid} is the new one\n`);
  context.stdout.write(renderTakeover(services, services));
  return EXIT.done;
}

function refuseForeground({ pid, settings }: DaemonStatus): void {
  if (!settings || settings.background) return;
  const unit = findUnit(readProcessFile(pid, 'cgroup') ?? '');
  const again = unit ? `${unit.manager} start ${unit.name}` : 'then start it as before';
  throw new MonocoreError(
    'Usage',
    `the daemon, process ${pid}, runs in the foreground: what started it has to do so again`,
    {
      details: { hint: `to restart it while the VMs keep running: monocore daemon stop --leave-running; ${again}` },
    },
  );
}

async function startNext({ paths }: CliContext, client: DaemonClient, old: DaemonStatus): Promise<DaemonStatus> {
  try {
    return await startDaemon(paths, client, ownDaemonCommand(paths.home, old.settings));
  } catch (error) {
    const code = error instanceof MonocoreError ? error.code : 'Internal';
    const message = `the old daemon has ended, and the new one does not start: ${errorText(error)}`;
    const hint = 'the VMs keep running; the next command that succeeds in starting a daemon takes them over';
    throw new MonocoreError(code, message, { cause: error, details: { hint } });
  }
}

/** One line for the services that go on as they were, one for those that do not. */
function renderTakeover(before: readonly ServiceStatus[], after: readonly ServiceStatus[]): string {
  const pids = new Map(after.map(({ name, pid }) => [name, pid]));
  const running = before.filter(({ pid }) => pid !== null);
  const kept = running.filter(({ name, pid }) => pids.get(name) === pid).map(({ name }) => name);
  const ended = running.filter(({ name, pid }) => pids.get(name) !== pid).map(({ name }) => name);
  const lines = [kept.length > 0 ? `taken over: ${kept.join(', ')}` : 'no service was running'];
  if (ended.length > 0) lines.push(`ended meanwhile: ${ended.join(', ')}; monocore status shows how`);
  return lines.map((line) => `${line}\n`).join('');
}
