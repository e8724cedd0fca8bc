/**
 * Selection of services by name, by replica set or by group, the same for every command; and ownership of their names.
 */
import { didYouMean } from '../lib/closest.ts';
import { MonocoreError } from '../lib/errors.ts';
import type { Selection } from './api.ts';
import type { Project, Service } from './service.ts';

/** Fields that determine whether a service is selected; early versions do not report all of them. */
export type Selectable = Pick<Service, 'name' | 'group'> &
  Partial<Pick<Service, 'replica_of'>> & { readonly project?: Project | null };

const NATURAL_ORDER = new Intl.Collator('en', { numeric: true });

/** Compares names so that `web-2` comes before `web-10`. */
export function compareNames(a: { readonly name: string }, b: { readonly name: string }): number {
  return NATURAL_ORDER.compare(a.name, b.name) || (a.name < b.name ? -1 : 1);
}

/**
 * Services with that name, and its replicas. Both exist right after `replicas` was added to or removed from the config.
 */
export function findNamed<T extends Pick<Selectable, 'name' | 'replica_of'>>(
  services: readonly T[],
  name: string,
): T[] {
  return services.filter((service) => service.name === name || service.replica_of === name);
}

/**
 * True if a service became the other one when it got replicas or lost them: `db` and its first replica, `db-1`. Its disk
 * goes with it.
 */
export function isSuccessor(one: Pick<Selectable, 'name' | 'replica_of'>, other: typeof one): boolean {
  const isFirstReplica = (replica: typeof one, of: typeof one) =>
    !of.replica_of && replica.replica_of === of.name && replica.name === `${of.name}-1`;
  return isFirstReplica(one, other) || isFirstReplica(other, one);
}

/** True for two configs with the same name in the same folder, and for two services without a project. */
export function isSameProject(one: Project | null, other: Project | null): boolean {
  return one?.name === other?.name && one?.folder === other?.folder;
}

/** `project shop of /srv/shop`. */
export function describeProject({ name, folder }: Project): string {
  return `project ${name} of ${folder}`;
}

/**
 * Selects services: the named ones in the given order, or else those of the group, or else all; with a project only its
 * own. Each is selected once. Throws `ServiceUnknown` for a name or group that is unknown to the project, or to
 * `owner`, the source of the services.
 */
export function select<T extends Selectable>(
  services: readonly T[],
  { names, group, project = null }: Selection,
  owner: string,
): T[] {
  const own = services.filter((service) => project === null || isSameProject(service.project ?? null, project));
  const where = project === null ? owner : describeProject(project);
  const found = names.map((name) => findNamed(own, name));
  const details = { hint: `to see them: monocore ${owner === 'the config' ? 'config show' : 'status'}` };
  const unknown = names.filter((_, index) => found[index]!.length === 0);
  if (unknown.length > 0) {
    const known = own.flatMap(({ name, replica_of }) => [name, ...(replica_of ? [replica_of] : [])]);
    const lines = unknown.map((name) => `${where} has no service "${name}"${didYouMean(name, known)}`);
    throw new MonocoreError('ServiceUnknown', lines.join('\n'), { details });
  }
  if (group !== null && !own.some((service) => service.group === group)) {
    const meant = didYouMean(
      group,
      own.flatMap((service) => service.group ?? []),
    );
    throw new MonocoreError('ServiceUnknown', `${where} has no service in the group "${group}"${meant}`, { details });
  }
  const named = names.length === 0 ? own : new Set(found.flat());
  return [...named].filter((service) => group === null || service.group === group);
}

type Named = Pick<Service, 'name' | 'group'>;

/** Service with its owner; if it has no project, any project may take it. */
export type Owned = Named & { readonly project: Project | null };

/**
 * Checks services to start against the owners of their names and groups. Pure.
 *
 * @param starting services of `project`
 * @param known services of the home, and those that are being started
 * @param takeOver true: services of other projects move into this one if their names are needed
 * @throws MonocoreError `NameTaken` with both projects
 */
export function checkOwners(
  starting: readonly Named[],
  project: Project | null,
  known: readonly Owned[],
  takeOver: boolean,
): void {
  const wanting = project === null ? 'a config without a project' : describeProject(project);
  const names = new Set(starting.map(({ name }) => name));
  const foreign = known.flatMap(({ name, group, project: owner }) =>
    owner && !isSameProject(owner, project) ? [{ name, group, owner: describeProject(owner) }] : [],
  );
  for (const { name, group } of starting) {
    const holder = foreign.find((other) => other.name === name);
    if (holder && !takeOver) {
      throw new MonocoreError(
        'NameTaken',
        `service ${name} belongs to ${holder.owner}, and cannot be started by ` +
          `${wanting}; rename it, remove the other one, or move it here with --take-over`,
      );
    }
    const member = foreign.find((other) => {
      const isMoved = takeOver && names.has(other.name);
      return group !== null && other.group === group && !isMoved;
    });
    if (member) {
      throw new MonocoreError(
        'NameTaken',
        `group ${group} of service ${name} belongs to ${member.owner} with its ` +
          `service ${member.name}, and cannot be joined by ${wanting}; rename the group`,
      );
    }
  }
}
