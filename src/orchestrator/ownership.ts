/** Owners of names: a service or a group belongs to the project that declared it. */
import { MonocoreError } from '../lib/errors.ts';
import { isSameProject } from '../protocol/selection.ts';
import type { Project } from '../protocol/service.ts';
import type { ServiceDefinition } from '../supervisor/status.ts';

/** `project shop of /srv/shop`. */
function describe(project: Project | null): string {
  return project === null ? 'no project' : `project ${project.name} of ${project.folder}`;
}

/**
 * Checks services to start against the owners of their names and groups. Pure.
 *
 * @param starting services of one project
 * @param known services of the home, and those that are being started; one without a project is anybody's
 * @param takeOver true: services of other projects move into this one, whatever their names
 * @throws MonocoreError `NameTaken` with both projects
 */
export function checkOwners(
  starting: readonly ServiceDefinition[],
  known: readonly ServiceDefinition[],
  takeOver: boolean,
): void {
  const names = new Set(starting.map(({ service }) => service.name));
  const foreign = (project: Project | null) =>
    known.filter((other) => other.project && !isSameProject(other.project, project));
  for (const { service, project = null } of starting) {
    const owner = foreign(project).find((other) => other.service.name === service.name);
    if (owner && !takeOver) {
      throw new MonocoreError(
        'NameTaken',
        `service ${service.name} belongs to ${describe(owner.project ?? null)}, and cannot be started by ` +
          `${describe(project)}; rename it, remove the other one, or move it here with --take-over`,
      );
    }
    const member = foreign(project).find((other) => {
      const isMoved = takeOver && names.has(other.service.name);
      return service.group !== null && other.service.group === service.group && !isMoved;
    });
    if (member) {
      throw new MonocoreError(
        'NameTaken',
        `group ${service.group} of service ${service.name} belongs to ${describe(member.project ?? null)} with its ` +
          `service ${member.service.name}, and cannot be joined by ${describe(project)}; rename the group`,
      );
    }
  }
}
