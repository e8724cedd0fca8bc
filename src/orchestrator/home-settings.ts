/** Settings of the home, which all projects share; the last start determines them. */
import { isDeepStrictEqual } from 'node:util';
import { describeProject, isSameProject } from '../protocol/selection.ts';
import type { Config } from '../protocol/service.ts';
import type { OrchestratorContext } from '../supervisor/interfaces.ts';

/** Applies home settings within one daemon. Main thread. */
export class HomeSettings {
  readonly #context: OrchestratorContext;
  #last: Pick<Config, 'project' | 'logs' | 'images'> | null = null;

  constructor(context: OrchestratorContext) {
    this.#context = context;
  }

  /** Applies the settings of a config; reports if they differ from those of another project. */
  apply({ project, logs, images }: Config): void {
    const last = this.#last;
    if (last?.project && project && !isSameProject(last.project, project)) {
      const changed = [
        ...(isDeepStrictEqual(last.logs, logs) ? [] : ['[logs]']),
        ...(isDeepStrictEqual(last.images, images) ? [] : ['[images]']),
      ].join(' and ');
      const [now, then] = [describeProject(project), describeProject(last.project)];
      if (changed !== '') this.#context.report('warn', `${now} has changed ${changed} of the home, as set by ${then}`);
    }
    this.#last = { project, logs, images };
    this.#context.limitLogs(logs);
    this.#context.images.configure(images);
  }
}
