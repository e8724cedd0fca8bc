/** Context of a command: the home, the output streams and the connection to the daemon. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { MonocoreError } from '../lib/errors.ts';
import { packageVersion } from '../lib/package-info.ts';
import type { ServiceStatus } from '../protocol/service.ts';
import { HomePaths, MAX_SOCKET_PATH_BYTES, resolveHome } from '../state/paths.ts';
import { readStoredServices } from '../state/stored-services.ts';
import { DaemonClient } from './client.ts';
import { askStatus, awaitUnit, startDaemon, type Unit } from './daemon/process.ts';
import { findInstalledUnit } from './daemon/systemd-unit.ts';
import { commandFor } from './project.ts';
import { safeOutput } from './render/safe-output.ts';
import { renderNotes } from './render/status-text.ts';
import { type Colors, colorsFor } from './render/terminal-text.ts';

const STOPPED = 'the daemon is stopped';

export interface CliContext {
  readonly paths: HomePaths;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Colours for stdout. */
  readonly colors: Colors;
}

/**
 * Creates the context.
 *
 * @param home value of `--home`
 * @throws MonocoreError `HomeUnusable` if the path is too long for the daemon's socket: the kernel would truncate it
 */
export function createContext(home: string | undefined): CliContext {
  const paths = new HomePaths(resolveHome(home));
  if (Buffer.byteLength(paths.socket) > MAX_SOCKET_PATH_BYTES) {
    throw new MonocoreError(
      'HomeUnusable',
      `the home ${paths.home} is too long: a unix socket's path has at most ${MAX_SOCKET_PATH_BYTES} bytes; use a shorter --home`,
    );
  }
  const [stdout, stderr] = [process.stdout, process.stderr].map(safeOutput) as [NodeJS.WriteStream, NodeJS.WriteStream];
  return { paths, stdout, stderr, colors: colorsFor(stdout) };
}

/**
 * Condition on which a command starts a daemon if none is running:
 * - `never`;
 * - `always`;
 * - `for-vms`: if VMs have outlived their daemon, so that a new one can adopt them;
 * - `for-records`: also if there are records of services that have ended.
 */
export type StartPolicy = 'never' | 'always' | 'for-vms' | 'for-records';

/**
 * Client of the home's daemon; null if none is running and `policy` does not start one. If systemd manages the daemon,
 * no second one is started beside it.
 *
 * @throws MonocoreError if the daemon cannot be reached or started
 */
export async function connect(context: CliContext, policy: StartPolicy): Promise<DaemonClient | null> {
  const { home } = context.paths;
  if (existsSync(home) && !statSync(home).isDirectory()) {
    throw new MonocoreError('HomeUnusable', `the home ${home} is not a folder; choose another with --home`);
  }
  const client = new DaemonClient(context.paths.socket);
  const unit = findInstalledUnit(home);
  let status = (await askStatus(client)) ?? (unit && (await awaitUnit(unit, client)));
  if (!status && !wantsDaemon(context.paths, policy)) return null;
  if (!status && unit) throw unreachable(STOPPED, describeStart(unit));
  status ??= await startDaemon(context.paths, client);
  const version = packageVersion();
  if (status.version !== version) {
    context.stderr.write(
      `monocore: note: the daemon is version ${status.version}, this command is ${version}; to replace the daemon while ` +
        'the VMs keep running: monocore daemon restart\n',
    );
  }
  return client;
}

/**
 * Client of the home's daemon.
 *
 * @throws MonocoreError `DaemonUnreachable` with `hint` if none is running or could be started
 */
export async function requireDaemon(context: CliContext, policy: StartPolicy, hint: string): Promise<DaemonClient> {
  const client = await connect(context, policy);
  if (client) return client;
  const unit = findInstalledUnit(context.paths.home);
  if (unit) throw unreachable(STOPPED, describeStart(unit));
  throw unreachable(`no daemon is running for ${context.paths.home}`, hint);
}

/**
 * Services that the state files tell, to answer a question while no daemon runs: a daemon that is started starts services,
 * too, by their policy. Notes on stderr say so.
 */
export async function listStoredServices(
  { paths, stderr }: CliContext,
  file: string | undefined,
): Promise<readonly ServiceStatus[]> {
  const { services, broken } = await readStoredServices(paths, Date.now());
  const unit = findInstalledUnit(paths.home);
  const notes = broken.map((problem) => `a state file is ignored: ${problem}`);
  if (unit) notes.push(`${STOPPED}; ${describeStart(unit)}`);
  else if (hasRecords(paths.runDir)) notes.push('no daemon is running; to start one: monocore daemon restart');
  else if (services.length > 0) notes.push(`no daemon is running; to start services: ${commandFor('start', file)}`);
  stderr.write(renderNotes(notes));
  return services;
}

function describeStart({ name, manager }: Unit): string {
  return `to start it: ${manager} start ${name.replace(/\.service$/, '')}`;
}

function unreachable(message: string, hint: string): MonocoreError {
  return new MonocoreError('DaemonUnreachable', message, { details: { hint } });
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
