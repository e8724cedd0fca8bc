/** Recovery of the services of an earlier daemon. */
import { errorText } from '../lib/errors.ts';
import type { SavedState } from '../protocol/state.ts';
import type { SupervisorContext } from '../supervisor/interfaces.ts';
import { markGone, restoreState } from '../supervisor/saved-state.ts';
import type { ServiceDefinition } from '../supervisor/status.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import type { Groups } from './networks.ts';
import type { Registry } from './registry.ts';

/** Saved states of an earlier daemon. */
export interface Leftovers {
  /** Services that had not ended. */
  readonly left: readonly SavedState[];
  /** Services that had ended. */
  readonly ended: readonly SavedState[];
}

/**
 * Adopts VMs that still run, and notes the end of the others. A VM that cannot be adopted is reported; the others are
 * adopted all the same.
 */
export async function recover(
  context: SupervisorContext & Leftovers,
  registry: Registry,
  groups: Groups,
): Promise<void> {
  const { left, ended, report } = context;
  const define = ({ service, group, kernel, project, undeclared }: SavedState): ServiceDefinition => {
    return { service, group, ...groups.place(service, group), kernel, project, undeclared };
  };
  // Running VMs have their places; those of ended services may have been given to others.
  groups.restore([...left, ...ended]);
  for (const saved of ended) registry.install(define(saved), restoreState(saved));
  groups.keepOnly([...left, ...ended].map(define));
  const adoptions = left.map((saved) =>
    adopt(context, registry, saved, define(saved)).catch((error: unknown) => {
      report('error', `${saved.service.name}: its VM cannot be adopted: ${errorText(error)}`);
    }),
  );
  await Promise.all(adoptions);
}

async function adopt(
  context: SupervisorContext,
  registry: Registry,
  saved: SavedState,
  definition: ServiceDefinition,
): Promise<void> {
  const { service, group, image_digest: digest, process: identity, status } = saved;
  const { backends, images, store, clock, report } = context;
  const backend = backends[service.isolation];
  const reportAsWarning = (error: unknown): null => {
    report('warn', `${service.name}: ${errorText(error)}`);
    return null;
  };
  const localOnly = group?.local_only ?? true;
  const { groupIndex = null } = definition;
  // The VM runs on without its image, too.
  const image = digest === null ? null : await images.recall(digest).catch(reportAsWarning);
  const runJob = status === 'Starting';
  const adoption = await backend.adopt({ service, localOnly, groupIndex, image, identity, runJob });
  if (adoption.type === 'running') {
    report('info', `${service.name}: adopted, process ${identity?.pid}`);
    registry.add(await Supervisor.adopt(definition, context, saved, adoption));
    return;
  }
  const ended = markGone(saved, adoption.exit, adoption.oomKilled ?? false, clock.now());
  report('warn', `${service.name}: its process ended while no daemon ran`, { exit: ended.exit });
  try {
    // The exit record is the only record of its end until this is saved.
    await store.conclude(ended, () => backend.cleanUp(service.name));
  } catch (error) {
    report('error', `${service.name}: its end cannot be saved yet: ${errorText(error)}`);
  }
  registry.install(definition, restoreState(ended));
}
