/** Projects of a run: configs on one home, each with services of its own. */
import type { Config, Project } from '../../src/protocol/service.ts';
import { configOf } from '../helpers/fakes/services.ts';
import { type Member, PASSING_PROJECT } from './fleet.ts';

/** A config, and the project that it makes. */
export interface ProjectConfig {
  readonly project: Project;
  readonly config: Config;
  readonly names: readonly string[];
}

/** The configs of a fleet. */
export class Projects {
  readonly all: readonly ProjectConfig[];

  constructor(fleet: readonly Member[]) {
    const folders = [...new Set(fleet.map(({ project }) => project.folder))];
    this.all = folders.map((folder) => {
      const members = fleet.filter(({ project }) => project.folder === folder);
      const { project } = members[0]!;
      const services = members.map(({ service }) => service);
      return { project, config: { ...configOf(services), project }, names: services.map(({ name }) => name) };
    });
  }

  get(name: string): ProjectConfig {
    return this.all.find(({ project }) => project.name === name)!;
  }

  ownerOf(service: string): ProjectConfig {
    return this.all.find(({ names }) => names.includes(service))!;
  }

  /** True for the project whose service is removed now and then. */
  isPassing({ project }: Config): boolean {
    return project?.name === PASSING_PROJECT;
  }

  /** Each config with those of the services that are its own. */
  divide(services: readonly string[]): { readonly config: Config; readonly names: string[] }[] {
    return this.all.flatMap(({ config, names }) => {
      const own = services.filter((service) => names.includes(service));
      return own.length === 0 ? [] : [{ config, names: own }];
    });
  }

  /** The services with those that a start of them includes: their dependencies. */
  withNeeds(services: readonly string[]): string[] {
    const known = this.all.flatMap(({ config }) => config.services);
    const needs = known.filter(({ name }) => services.includes(name)).flatMap(({ depends_on }) => depends_on);
    return [...services, ...needs.map(({ service }) => service)];
  }

  /** Another project, which declares the service as well. */
  claim(service: string): ProjectConfig {
    const { config: owner } = this.ownerOf(service);
    const { project, config, names } = this.all.find((other) => !other.names.includes(service))!;
    const claimed = owner.services.find(({ name }) => name === service)!;
    const services = [...config.services, { ...claimed, depends_on: [] }];
    return { project, config: { ...config, services }, names: [...names, service] };
  }
}
