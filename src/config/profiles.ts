/** Which services of a config are meant: those of the profiles that were chosen, and those that were named. */
import { MonocoreError } from '../lib/errors.ts';
import type { ServiceValues } from './keys.ts';
import { didYouMean } from './problems.ts';
import { replicaNames } from './schema/ports.ts';

/** What of a config is wanted. */
export interface Choice {
  /** Services with one of these profiles are there, besides those that have none. */
  readonly profiles?: readonly string[];
  /** Names of services that are there, whatever their profiles. */
  readonly names?: readonly string[];
}

/**
 * The services that are chosen, and all that they depend on, in their order. Pure.
 *
 * @throws MonocoreError `Usage` for a profile that no service has
 */
export function choose(services: readonly ServiceValues[], { profiles = [], names = [] }: Choice): ServiceValues[] {
  const known = new Set(services.flatMap((service) => service.profiles));
  for (const profile of profiles) if (!known.has(profile)) throw unknownProfile(profile, known);
  const byName = new Map(services.map((service) => [service.name, service]));
  const wanted = new Set<ServiceValues>();
  const pending = services.filter(
    (service) =>
      service.profiles.length === 0 ||
      service.profiles.some((profile) => profiles.includes(profile)) ||
      [service.name, ...replicaNames(service)].some((name) => names.includes(name)),
  );
  for (let service = pending.pop(); service !== undefined; service = pending.pop()) {
    if (wanted.has(service)) continue;
    wanted.add(service);
    pending.push(...service.depends_on.flatMap((dependency) => byName.get(dependency.service) ?? []));
  }
  return services.filter((service) => wanted.has(service));
}

function unknownProfile(profile: string, known: ReadonlySet<string>): MonocoreError {
  return new MonocoreError(
    'Usage',
    `no service of the config has the profile ${JSON.stringify(profile)}${didYouMean(profile, known)}`,
  );
}
