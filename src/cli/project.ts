/** Services of a command that names none: those of the current project. */
import { findConfigFrom } from '../config/find.ts';
import { MonocoreError } from '../lib/errors.ts';
import type { Selection } from '../protocol/api.ts';
import type { Project } from '../protocol/service.ts';
import { createSelection } from './options.ts';

/** Options that select services, besides names. */
export interface ScopeOptions {
  readonly group?: string;
  /** Config of the project to use. */
  readonly file?: string;
  /** Selects every service of the home. */
  readonly all?: boolean;
}

/**
 * Services that a command applies to. Names and a group select from the whole home, `--all` selects everything in it;
 * otherwise the services of one project, whose config is given by `-f` or found from the current folder.
 *
 * @param withoutConfig `refuse` for commands that change services; `all` selects the whole home
 * @throws MonocoreError `Usage` for contradicting options, and if there is no config; `ConfigInvalid` if the project of
 * the config cannot be read
 */
export async function chooseServices(
  names: readonly string[],
  { group, file, all = false }: ScopeOptions,
  withoutConfig: 'refuse' | 'all',
): Promise<Selection> {
  const selection = createSelection(names, group);
  const isNamed = names.length > 0 || group !== undefined;
  if (all && (isNamed || file !== undefined)) {
    throw new MonocoreError(
      'Usage',
      '--all selects every service of the home; give it without names, --group and --file',
    );
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

/** Command for a hint, which means the same config as the command at hand: `monocore stop -f shop.toml`. */
export function commandFor(verb: 'start' | 'stop' | 'status', file: string | undefined): string {
  if (file === undefined) return `monocore ${verb}`;
  const word = /^[\w./:@%+=,-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`;
  return `monocore ${verb} -f ${word}`;
}

async function projectAtHand(file: string | undefined): Promise<Project | null> {
  const path = file ?? findConfigFrom(process.cwd());
  if (path === null) return null;
  const { loadProject } = await import('../config/load.ts');
  return loadProject(path);
}
