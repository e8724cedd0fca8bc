/** Goes on with what an earlier daemon of the home left. */
import { errorText } from '../lib/errors.ts';
import type { ServiceImage } from '../protocol/images.ts';
import type { SavedState } from '../protocol/state-document.ts';
import type { SupervisorContext } from '../supervisor/interfaces.ts';
import { markGone, restoredState, type ServiceDefinition } from '../supervisor/status.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import type { Groups } from './networks.ts';
import type { Registry } from './registry.ts';

/** State documents of an earlier orchestrator of the home. */
export interface Leftovers {
  /** Of services that had not ended. */
  readonly left: readonly SavedState[];
  /** Of services that had. */
  readonly ended: readonly SavedState[];
}

/**
 * VMs that run are supervised again; for the others it is noted how they ended. One that cannot be taken over is
 * reported, and keeps no other from it.
 */
export async function takeOver(
  ports: SupervisorContext & Leftovers,
  registry: Registry,
  groups: Groups,
): Promise<void> {
  const { left, ended, report } = ports;
  const define = ({ service, group, kernel }: SavedState): ServiceDefinition => {
    return { service, group, ...groups.place(service, group), kernel };
  };
  // What runs has its place; what ended may have lost it to another by then.
  groups.restore([...left, ...ended]);
  for (const document of ended) registry.install(define(document), restoredState(document));
  groups.shareNames();
  const adoptions = left.map((document) =>
    adopt(ports, registry, document, define(document)).catch((error: unknown) => {
      report('error', `${document.service.name}: cannot be taken over: ${errorText(error)}`);
    }),
  );
  await Promise.all(adoptions);
}

async function adopt(
  ports: SupervisorContext,
  registry: Registry,
  document: SavedState,
  definition: ServiceDefinition,
): Promise<void> {
  const { service, group, process: identity, status } = document;
  const { backends, store, clock, report } = ports;
  const backend = backends[service.isolation];
  const localOnly = group?.local_only ?? true;
  const { groupIndex = null } = definition;
  const image = await recallImage(ports, document);
  const runJob = status === 'Starting';
  const adoption = await backend.adopt({ service, localOnly, groupIndex, image, identity, runJob });
  if (adoption.type === 'running') {
    report('info', `${service.name}: taken over, process ${identity?.pid}`);
    registry.add(await Supervisor.adopt(definition, ports, document, adoption));
    return;
  }
  const ended = markGone(document, adoption.exit, adoption.oomKilled ?? false, clock.now());
  report('warn', `${service.name}: its process ended while no daemon ran`, { exit: ended.exit });
  // Its exit record is the only one until it is noted.
  await store
    .conclude(ended, () => backend.cleanUp(service.name))
    .catch((error: unknown) => {
      report('error', `${service.name}: how it ended cannot be saved yet: ${errorText(error)}`);
    });
  registry.install(definition, restoredState(ended));
}

/** Null where a VM has no image, and where its image is gone: it runs on all the same. */
async function recallImage(
  { images, report }: SupervisorContext,
  { service, image_digest: digest }: SavedState,
): Promise<ServiceImage | null> {
  if (digest === null) return null;
  return images.recall(digest).catch((error: unknown) => {
    report('warn', `${service.name}: ${errorText(error)}`);
    return null;
  });
}
