/**
 * Settings of the home that its projects share: `[logs]` and `[images]` of their configs. The smallest limit that any
 * project sets is in force, and so is every registry that any project trusts. A project counts while it has a service.
 */
import { isDeepStrictEqual } from 'node:util';
import { formatSize } from '../lib/units.ts';
import { DEFAULT_IMAGE_SETTINGS } from '../protocol/images.ts';
import { describeProject, isSameProject } from '../protocol/selection.ts';
import type { Project, ProjectSettings } from '../protocol/service.ts';
import type { OrchestratorContext } from '../supervisor/interfaces.ts';

interface Limit {
  readonly key: string;
  /** Bytes that a project sets; null if it leaves the limit to the others. */
  readonly of: (settings: ProjectSettings) => number | null;
}

const KEEP_TOTAL: Limit = { key: '[logs] keep_total', of: ({ logs }) => logs.keep_total_bytes };
const MAX_IMAGE_SIZE: Limit = {
  key: '[images] max_image_size',
  // A project that leaves the default must not keep another one from raising it.
  of: ({ images: { max_image_size_bytes: bytes } }) =>
    bytes === DEFAULT_IMAGE_SETTINGS.max_image_size_bytes ? null : bytes,
};

/** Applies home settings within one daemon. Main thread. */
export class HomeSettings {
  readonly #context: OrchestratorContext;
  #projects: readonly ProjectSettings[];

  /** Applies the settings that the previous daemon saved. */
  constructor(context: OrchestratorContext) {
    this.#context = context;
    this.#projects = context.savedSettings;
    this.#enforce();
  }

  /** Replaces the settings of a project by those of its config. */
  apply({ project, logs, images }: ProjectSettings): void {
    this.#set([...this.#others(project), { project, logs, images }]);
  }

  /** Forgets the settings of all other projects. */
  keepOnly(projects: readonly (Project | null)[]): void {
    this.#set(this.#projects.filter(({ project }) => projects.some((kept) => isSameProject(kept, project))));
  }

  /** Limits of other projects that are stricter than those of a config, for people. */
  describeStricter(config: ProjectSettings): string[] {
    const others = this.#others(config.project);
    return [KEEP_TOTAL, MAX_IMAGE_SIZE].flatMap(({ key, of }) => {
      const own = of(config);
      const stricter = findSmallest(others, of);
      if (stricter === null || (own !== null && own <= stricter.bytes)) return [];
      const owner = stricter.project === null ? 'a config without a project' : describeProject(stricter.project);
      const here = own === null ? 'does not set it' : `says ${formatSize(own)}`;
      return [`${owner} limits ${key} of the home to ${formatSize(stricter.bytes)}; this config ${here}`];
    });
  }

  #others(project: Project | null): ProjectSettings[] {
    return this.#projects.filter((settings) => !isSameProject(settings.project, project));
  }

  #set(projects: readonly ProjectSettings[]): void {
    const isNew = !isDeepStrictEqual(new Set(projects), new Set(this.#projects));
    this.#projects = projects;
    if (!isNew) return;
    this.#context.saveSettings(projects);
    this.#enforce();
  }

  #enforce(): void {
    const projects = this.#projects;
    const registries = projects.flatMap(({ images }) => images.insecure_registries);
    this.#context.limitLogs({ keep_total_bytes: findSmallest(projects, KEEP_TOTAL.of)?.bytes ?? null });
    this.#context.images.configure({
      insecure_registries: [...new Set(registries)].sort(),
      max_image_size_bytes:
        findSmallest(projects, MAX_IMAGE_SIZE.of)?.bytes ?? DEFAULT_IMAGE_SETTINGS.max_image_size_bytes,
    });
  }
}

/** Smallest limit that any of the projects sets, with its project. */
function findSmallest(
  projects: readonly ProjectSettings[],
  of: Limit['of'],
): { readonly project: Project | null; readonly bytes: number } | null {
  const limits = projects.flatMap((settings) => {
    const bytes = of(settings);
    return bytes === null ? [] : [{ project: settings.project, bytes }];
  });
  return limits.sort((a, b) => a.bytes - b.bytes)[0] ?? null;
}
