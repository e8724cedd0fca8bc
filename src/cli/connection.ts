/** How a command gets at the daemon. */
import { readdirSync } from 'node:fs';
import { MonocoreError } from '../lib/errors.ts';
import { packageVersion } from '../lib/package-info.ts';
import type { HomePaths } from '../state/paths.ts';
import { DaemonClient } from './client.ts';
import type { CliContext } from './context.ts';
import { askStatus, startDaemon } from './daemon/process.ts';

/**
 * What a command wants where no daemon runs:
 * - `never`: do without;
 * - `always`: start one;
 * - `for-vms`: start one if VMs outlived theirs, so that it adopts them;
 * - `for-records`: the same, and also if anything is known of services that have ended.
 */
export type StartPolicy = 'never' | 'always' | 'for-vms' | 'for-records';

/**
 * The client of the home's daemon, or null when none runs and `policy` does not want one.
 *
 * @throws MonocoreError why none could be reached or started
 */
export async function connect(context: CliContext, policy: StartPolicy): Promise<DaemonClient | null> {
  const client = new DaemonClient(context.paths.socket);
  let status = await askStatus(client);
  if (!status && !wantsDaemon(context.paths, policy)) return null;
  status ??= await startDaemon(context.paths, client);
  const version = packageVersion();
  if (status.version !== version) {
    context.stderr.write(
      `monocore: note: the daemon is monocore ${status.version}, this is ${version}; to replace it while the ` +
        'VMs keep running: monocore daemon restart\n',
    );
  }
  return client;
}

/** The error of a command that cannot do without a daemon. */
export function noDaemonError(paths: HomePaths, hint: string): MonocoreError {
  return new MonocoreError('DaemonUnreachable', `no daemon runs for ${paths.home}`, { details: { hint } });
}

function wantsDaemon(paths: HomePaths, policy: StartPolicy): boolean {
  if (policy === 'always' || policy === 'never') return policy === 'always';
  return hasRecords(paths.runDir) || (policy === 'for-records' && hasRecords(paths.endedDir));
}

function hasRecords(folder: string): boolean {
  try {
    return readdirSync(folder).some((name) => name.endsWith('.json'));
  } catch {
    return false;
  }
}
