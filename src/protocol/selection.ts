/** Selection of services by name, by replica set or by group, alike for every command. */
import { didYouMean } from '../lib/closest.ts';
import { MonocoreError } from '../lib/errors.ts';
import type { Selection } from './api.ts';
import type { Project, Service } from './service.ts';

/** Fields of a service that decide its selection; some are missing in answers of the first versions. */
export type Selectable = Pick<Service, 'name' | 'group'> &
  Partial<Pick<Service, 'replica_of'>> & { readonly project?: Project | null };

/** The service of that name and its replicas; both are there when the number of replicas was just given or dropped. */
export function findNamed<T extends Pick<Selectable, 'name' | 'replica_of'>>(
  services: readonly T[],
  name: string,
): T[] {
  return services.filter((service) => service.name === name || service.replica_of === name);
}

/** True for two configs of one name in one folder, and for two services that belong to no project. */
export function isSameProject(one: Project | null, other: Project | null): boolean {
  return one?.name === other?.name && one?.folder === other?.folder;
}

/**
 * Selects services: the named ones, in the order of the names, else those of the group, else all; with a project only
 * its own. Each is selected once. Throws `ServiceUnknown` for a name or group that `owner`, the source of the services, does not have.
 */
export function select<T extends Selectable>(
  services: readonly T[],
  { names, group, project = null }: Selection,
  owner: string,
): T[] {
  const found = names.map((name) => findNamed(services, name));
  const details = { hint: `to see them: monocore ${owner === 'the config' ? 'config show' : 'status'}` };
  const unknown = names.filter((_, index) => found[index]!.length === 0);
  if (unknown.length > 0) {
    const known = services.flatMap(({ name, replica_of }) => [name, ...(replica_of ? [replica_of] : [])]);
    const lines = unknown.map((name) => `${owner} has no service "${name}"${didYouMean(name, known)}`);
    throw new MonocoreError('ServiceUnknown', lines.join('\n'), { details });
  }
  if (group !== null && !services.some((service) => service.group === group)) {
    const meant = didYouMean(
      group,
      services.flatMap((service) => service.group ?? []),
    );
    throw new MonocoreError('ServiceUnknown', `${owner} has no service in the group "${group}"${meant}`, { details });
  }
  const named = names.length === 0 ? services : new Set(found.flat());
  return [...named].filter(
    (service) =>
      (group === null || service.group === group) &&
      (project === null || isSameProject(service.project ?? null, project)),
  );
}
