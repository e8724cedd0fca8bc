/** Project of a config: the name at its top, or else the name of its folder. */
import { basename } from 'node:path';
import type { Project } from '../protocol/service.ts';

/** Project name for a folder whose name contains no letter or digit, such as `/`. */
const NAMELESS = 'default';

/** Project of a config. @param folder absolute path of the config's folder */
export function projectOf(name: string | undefined, folder: string): Project {
  return { name: name ?? toName(basename(folder)), folder };
}

/**
 * Turns the name of a folder into a project name: characters that are not allowed are dropped, as docker compose does.
 */
function toName(folder: string): string {
  const fitting = folder.toLowerCase().replace(/[^a-z0-9_-]/g, '');
  return fitting.slice(0, 63).replace(/^[_-]+|[_-]+$/g, '') || NAMELESS;
}
