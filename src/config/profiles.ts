/** Selection of services by profile and by name. */
import { MonocoreError } from '../lib/errors.ts';
import type { ServiceValues } from './keys.ts';
import { didYouMean } from './problems.ts';
import { replicaNames } from './schema/ports.ts';

/** Profiles and names that select services. */
export interface Choice {
  /** Selects services with one of these profiles, besides those without any. */
  readonly profiles?: readonly string[];
  /** Selects services by name, whatever their profiles. */
  readonly names?: readonly string[];
}

/**
 * Selects services and everything that they depend on; keeps their order. Pure.
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
