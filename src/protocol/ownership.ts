/** Owners of names: a service or a group belongs to the project that declared it. */
import { MonocoreError } from '../lib/errors.ts';
import { isSameProject } from './selection.ts';
import type { Project, Service } from './service.ts';

type Named = Pick<Service, 'name' | 'group'>;

/** A service with its owner; one without a project is anybody's. */
export type Owned = Named & { readonly project: Project | null };

/** `project shop of /srv/shop`. */
export function describeProject(project: Project | null): string {
  return project === null ? 'a config without a project' : `project ${project.name} of ${project.folder}`;
}

/**
 * Checks services to start against the owners of their names and groups. Pure.
 *
 * @param starting services of `project`
 * @param known services of the home, and those that are being started
 * @param takeOver true: services of other projects move into this one, whatever their names
 * @throws MonocoreError `NameTaken` with both projects
 */
export function checkOwners(
  starting: readonly Named[],
  project: Project | null,
  known: readonly Owned[],
  takeOver: boolean,
): void {
  const names = new Set(starting.map(({ name }) => name));
  const foreign = known.filter((other) => other.project && !isSameProject(other.project, project));
  for (const { name, group } of starting) {
    const owner = foreign.find((other) => other.name === name);
    if (owner && !takeOver) {
      throw new MonocoreError(
        'NameTaken',
        `service ${name} belongs to ${describeProject(owner.project)}, and cannot be started by ` +
          `${describeProject(project)}; rename it, remove the other one, or move it here with --take-over`,
      );
    }
    const member = foreign.find((other) => {
      const isMoved = takeOver && names.has(other.name);
      return group !== null && other.group === group && !isMoved;
    });
    if (member) {
      throw new MonocoreError(
        'NameTaken',
        `group ${group} of service ${name} belongs to ${describeProject(member.project)} with its ` +
          `service ${member.name}, and cannot be joined by ${describeProject(project)}; rename the group`,
      );
    }
  }
}
