/** Services of a home according to its state files, for queries while no daemon is running. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, errorTextWithPath } from '../lib/errors.ts';
import { isRunning } from '../lib/proc.ts';
import { compareNames } from '../protocol/selection.ts';
import { NO_METRICS, type ServiceStatus } from '../protocol/service.ts';
import type { SavedState } from '../protocol/state.ts';
import { markGone, restoreState } from '../supervisor/saved-state.ts';
import { NOT_BLOCKED, renderStatus } from '../supervisor/status.ts';
import type { HomePaths } from './paths.ts';
import { loadState } from './store.ts';

const UNSUPERVISED = 'no daemon supervises it';

/**
 * Status of every service, sorted by name. Changes nothing. A process that ended while no daemon was running has no
 * exit code here: the next daemon reads its exit record.
 *
 * @returns `broken` explains which state files and folders cannot be read, for people
 */
export async function readStoredServices(
  paths: HomePaths,
  nowMs: number,
): Promise<{ services: ServiceStatus[]; broken: string[] }> {
  const broken: string[] = [];
  const services = new Map<string, ServiceStatus>();
  // A service whose end has not been recorded yet has a file in both folders; the one in the run folder is newer.
  for (const dir of [paths.endedDir, paths.runDir]) {
    const names = await readdir(dir).catch((error: unknown): string[] => {
      if (errorCode(error) !== 'ENOENT') broken.push(errorTextWithPath(error));
      return [];
    });
    for (const name of names.filter((file) => file.endsWith('.json'))) {
      try {
        const saved = await loadState(join(dir, name));
        services.set(saved.service.name, toStatus(saved, nowMs));
      } catch (error) {
        broken.push(errorTextWithPath(error));
      }
    }
  }
  return { services: [...services.values()].sort(compareNames), broken };
}

function toStatus(saved: SavedState, nowMs: number): ServiceStatus {
  const { service, group, group_ip: groupIp, kernel, project, undeclared, process: identity, status } = saved;
  const isActive = typeof status === 'string' && identity !== null && isRunning(identity);
  const isLost = typeof status === 'string' && status !== 'Unstarted' && !isActive;
  const known = isLost ? markGone(saved, { exit: null }, nowMs) : saved;
  const rendered = renderStatus({
    definition: { service, group, groupIp, kernel, project, undeclared },
    blocked: NOT_BLOCKED,
    state: restoreState(known),
    identity: null,
    metrics: NO_METRICS,
    createdAtMs: Date.parse(saved.created_at),
    launchedAtMs: null,
    notes: isActive ? [UNSUPERVISED] : [],
  });
  if (!isActive) return rendered;
  return { ...rendered, status, pid: saved.pid ?? identity.pid, started_at: saved.started_at };
}
