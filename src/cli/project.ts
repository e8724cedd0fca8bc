/** The services of a command that names none: those of the project at hand. */
import { findConfigFrom } from '../config/find.ts';
import { MonocoreError } from '../lib/errors.ts';
import type { Selection } from '../protocol/api.ts';
import type { Project } from '../protocol/service.ts';
import { createSelection } from './options.ts';

/** Options that choose services, besides names. */
export interface ScopeOptions {
  readonly group?: string;
  /** Config whose project is meant. */
  readonly file?: string;
  /** Every service of the home is meant. */
  readonly all?: boolean;
}

/**
 * Services of a command: names or a group, which are those of the home, else all of the home with `--all`, else those of
 * the project whose config is named by `-f` or found from the current folder.
 *
 * @param withoutConfig `refuse` where a command changes services; `all` takes those of the home
 * @throws MonocoreError `Usage` for options that contradict each other, and without a config; `ConfigInvalid` for one whose
 * project cannot be known
 */
export async function chooseServices(
  names: readonly string[],
  { group, file, all = false }: ScopeOptions,
  withoutConfig: 'refuse' | 'all',
): Promise<Selection> {
  const selection = createSelection(names, group);
  const isNamed = names.length > 0 || group !== undefined;
  if (all && (isNamed || file !== undefined)) {
    throw new MonocoreError('Usage', '--all means every service of the home: give it alone');
  }
  if (all || (isNamed && file === undefined)) return selection;
  const project = await projectAtHand(file);
  if (project === null && withoutConfig === 'refuse') {
    throw new MonocoreError('Usage', 'no services are named, and there is no config here or in a folder above', {
      details: {
        hint: 'give names of services, the config of a project with -f, or --all for all services of the home',
      },
    });
  }
  return { ...selection, project };
}

async function projectAtHand(file: string | undefined): Promise<Project | null> {
  const path = file ?? findConfigFrom(process.cwd());
  if (path === null) return null;
  const { loadProject } = await import('../config/load.ts');
  return loadProject(path);
}
