/** Recovery of the services of an earlier daemon. */
import * as v from 'valibot';
import { errorText, errorTextWithPath } from '../lib/errors.ts';
import { DEFAULT_LOG_SETTINGS } from '../protocol/log-settings.ts';
import { DEFAULT_CPUS, DEFAULT_RAM_MIB, ServiceSchema } from '../protocol/service.ts';
import type { SavedState } from '../protocol/state.ts';
import type { LostService, SupervisorContext } from '../supervisor/interfaces.ts';
import { markFailed, markGone, restoreState } from '../supervisor/saved-state.ts';
import type { ServiceDefinition } from '../supervisor/status.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import type { Groups } from './networks.ts';
import type { Registry } from './registry.ts';

/** Saved states of an earlier daemon. */
export interface Leftovers {
  /** Services that were still running or being supervised. */
  readonly left: readonly SavedState[];
  /** Services that had ended. */
  readonly ended: readonly SavedState[];
  /** Services whose state cannot be read. */
  readonly lost: readonly LostService[];
}

/**
 * Adopts VMs that are still running, and records the end of the others. A service that cannot be adopted is ended and
 * shown as failed, because a later start would run beside it; this does not affect the others.
 */
export async function recover(
  context: SupervisorContext & Leftovers,
  registry: Registry,
  groups: Groups,
): Promise<void> {
  const { left, ended, lost, report } = context;
  const define = ({ service, group, kernel, project, undeclared }: SavedState): ServiceDefinition => {
    try {
      return { service, group, ...groups.place(service, group), kernel, project, undeclared };
    } catch (error) {
      report('warn', `${service.name}: ${errorText(error)}`);
      return { service, group, groupIp: null, kernel, project, undeclared };
    }
  };
  // Running VMs keep their addresses and indexes; those of ended services may have been reassigned.
  groups.restore([...left, ...ended]);
  const running = left.map((saved) => ({ saved, definition: define(saved) }));
  const over = ended.map((saved) => ({ saved, definition: define(saved) }));
  for (const { saved, definition } of over) registry.install(definition, restoreState(saved));
  groups.keepOnly([...running, ...over].map(({ definition }) => definition));
  const adoptions = running.map(({ saved, definition }) =>
    adopt(context, registry, saved, definition).catch((error: unknown) =>
      giveUp(context, registry, saved, definition, {
        why: `its process cannot be adopted: ${errorTextWithPath(error)}`,
        ended: context.endStrays(saved.service.name, saved.process),
      }),
    ),
  );
  const losses = lost.map((service) =>
    endLost(context, registry, service).catch((error: unknown) => {
      report('error', `${service.name}: its processes cannot be ended: ${errorTextWithPath(error)}`);
    }),
  );
  await Promise.all([...adoptions, ...losses]);
}

/** Ends a service that cannot be supervised, and records the reason as that of its failure. */
async function giveUp(
  context: SupervisorContext,
  registry: Registry,
  saved: SavedState,
  definition: ServiceDefinition,
  { why, ended: ending }: { readonly why: string; readonly ended: Promise<unknown> },
): Promise<void> {
  const { name } = saved.service;
  let outcome = 'its processes were ended; start it again';
  try {
    await ending;
  } catch (reason) {
    outcome = `its processes cannot be ended: ${errorTextWithPath(reason)}`;
  }
  const error = `${why}; ${outcome}`;
  context.report('error', `${name}: ${error}`);
  const ended = markFailed(saved, error, context.clock.now());
  await conclude(context, ended, () => cleanUpAll(context, name));
  registry.install(definition, restoreState(ended));
}

/**
 * Ends all processes of a service whose state cannot be read. A folder that no process uses was left by a service that
 * had ended.
 */
async function endLost(
  context: SupervisorContext,
  registry: Registry,
  { name, reason, isDamaged }: LostService,
): Promise<void> {
  // The search looks at every process of the host, so it is made once.
  const ended = context.endStrays(name, null);
  if (!isDamaged && (await ended.catch(() => 1)) === 0) return cleanUpAll(context, name);
  const definition = registry.get(name)?.definition ?? blankDefinition(name);
  const saved = new Supervisor(definition, context).savedState();
  await giveUp(context, registry, saved, definition, { why: reason, ended });
}

/** Removes everything that runs of a service left behind, whichever back end created it. */
async function cleanUpAll({ backends }: SupervisorContext, name: string): Promise<void> {
  for (const backend of Object.values(backends)) await backend.cleanUp(name);
}

/** Definition of a service of which only the name is known; the next start replaces it. */
function blankDefinition(name: string): ServiceDefinition {
  const service = v.parse(ServiceSchema, {
    ...{ name, group: null, isolation: 'none', rootfs: null, command: '', args: [], envs: {}, workdir: '/' },
    ...{ cpus: DEFAULT_CPUS, ram_mib: DEFAULT_RAM_MIB, ports: [], depends_on: [], stop_timeout_ms: 0 },
    log: DEFAULT_LOG_SETTINGS,
  });
  return { service, group: null, groupIp: null, kernel: null };
}

/** Saves the end of a run. Until then the exit record is the only trace of it. */
async function conclude(
  { store, report }: SupervisorContext,
  ended: SavedState,
  cleanUp: () => Promise<void>,
): Promise<void> {
  try {
    await store.conclude(ended, cleanUp);
  } catch (error) {
    report('error', `${ended.service.name}: its end cannot be saved yet: ${errorTextWithPath(error)}`);
  }
}

async function adopt(
  context: SupervisorContext,
  registry: Registry,
  saved: SavedState,
  definition: ServiceDefinition,
): Promise<void> {
  const { service, group, image_digest: digest, process: identity, status } = saved;
  const { backends, images, clock, report } = context;
  const backend = backends[service.isolation];
  const reportAsWarning = (error: unknown): null => {
    report('warn', `${service.name}: ${errorTextWithPath(error)}`);
    return null;
  };
  const localOnly = group?.local_only ?? true;
  const { groupIndex = null } = definition;
  // The VM keeps running even without its image.
  const image = digest === null ? null : await images.recall(digest).catch(reportAsWarning);
  const runJob = status === 'Starting';
  const adoption = await backend.adopt({ service, localOnly, groupIndex, image, identity, runJob });
  if (adoption.type === 'running') {
    registry.add(await Supervisor.adopt(definition, context, saved, adoption));
    report('info', `${service.name}: adopted, process ${identity?.pid}`);
    return;
  }
  const ended = markGone(saved, adoption, clock.now());
  report('warn', `${service.name}: its process ended while no daemon ran`, { exit: ended.exit });
  await conclude(context, ended, () => backend.cleanUp(service.name));
  registry.install(definition, restoreState(ended));
}
