/** Limits that a daemon started from this process could set. */
import { type ProcessLimit, readFileSizeLimit, readOpenFilesLimit } from '../../../lib/proc.ts';
import type { HostLimits } from '../../../protocol/http.ts';
import { CONTROLLERS, findHostCgroups, type HostCgroups } from './host-cgroups.ts';
import { findScopeManager, type ScopeManager } from './systemd-scope.ts';

/** Determines the limits; changes nothing. Any process. */
export function describeHostLimits(
  manager: ScopeManager | null = findScopeManager(),
  findCgroups: () => HostCgroups = findHostCgroups,
): HostLimits {
  const orNull = ({ soft }: ProcessLimit) => (Number.isFinite(soft) ? soft : null);
  const own = { open_files: orNull(readOpenFilesLimit()), file_bytes: orNull(readFileSizeLimit()) };
  const places: string[] = [];
  const obstacles = new Set<string>();
  if (manager) {
    const { controllers, dir, runtimeDir } = manager;
    const owner = runtimeDir === null ? 'systemd' : "the user's systemd";
    if (controllers.length > 0) places.push(`${controllers.join(' and ')} by a scope of ${owner} for each service`);
    const missing = CONTROLLERS.filter((controller) => !controllers.includes(controller));
    for (const controller of missing) obstacles.add(`the controller ${controller} is not delegated to ${dir}`);
    return { places, obstacles: [...obstacles], ...own };
  }
  const cgroups = findCgroups();
  for (const controller of CONTROLLERS) {
    const place = cgroups[controller];
    if (place.type === 'unusable') obstacles.add(place.reason);
    else places.push(`${controller} in ${place.dir} (v${place.version})`);
  }
  return { places, obstacles: [...obstacles], ...own };
}
