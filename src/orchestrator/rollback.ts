/** Rolls back a start of several services if one of them fails. */
import type { ServiceOutcome } from '../protocol/api.ts';
import { membershipOf, type ServiceDefinition } from '../supervisor/status.ts';
import { failed, type Registry } from './registry.ts';

/** State of a service before the start. */
export interface Before {
  readonly definition: ServiceDefinition;
  readonly wasUp: boolean;
}

/** Records the known services with these names before a start that may change them. */
export function recordBefore(registry: Registry, names: readonly string[]): Before[] {
  const known = names.flatMap((name) => registry.get(name) ?? []);
  return known.map(({ definition, isWantedUp: wasUp }) => ({ definition, wasUp }));
}

/**
 * Stops all changed services, and starts those that were running before with their former definitions. New services
 * stay known, so that their logs can be read.
 *
 * @param outcomes outcomes of the start
 * @returns the outcomes after the rollback: no changed service runs as requested
 */
export async function rollBack(
  registry: Registry,
  before: readonly Before[],
  outcomes: readonly ServiceOutcome[],
  stop: (names: string[]) => Promise<unknown>,
  start: (definitions: ServiceDefinition[]) => Promise<readonly ServiceOutcome[]>,
): Promise<ServiceOutcome[]> {
  const failures = outcomes.filter(({ outcome }) => outcome === 'failed').map(({ service }) => service.name);
  const changed = outcomes.filter(({ outcome }) => outcome !== 'unchanged').map(({ service }) => service.name);
  await stop(changed.filter((name) => registry.get(name)));
  const due: ServiceDefinition[] = [];
  for (const { definition, wasUp } of before) {
    const now = registry.get(definition.service.name);
    if (!now) continue;
    await now.reassign(membershipOf(definition));
    if (!changed.includes(now.name)) continue;
    if (wasUp) due.push(definition);
    else if (now.definition !== definition) registry.install(definition, now.state);
  }
  const broken = (await start(due)).filter(({ outcome }) => outcome === 'failed');
  return outcomes.map((outcome) => {
    const { name } = outcome.service;
    const supervisor = registry.get(name);
    if (!supervisor || outcome.outcome === 'unchanged') return outcome;
    const again = broken.find(({ service }) => service.name === name);
    if (again)
      return failed(
        supervisor,
        `restored, but it does not start with its former definition: ${again.error}`,
        again.last_lines,
      );
    if (outcome.outcome === 'failed') return { ...outcome, service: supervisor.status() };
    return failed(supervisor, `restored, because ${failures.join(', ')} failed`);
  });
}
