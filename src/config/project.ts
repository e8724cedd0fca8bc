/** Project of a config: the name at its top, else that of its folder. */
import { basename } from 'node:path';
import type { Project } from '../protocol/service.ts';

/** Name of a project whose folder has no letter or digit in its name, such as `/`. */
const NAMELESS = 'default';

/** @param folder of the config, absolute */
export function projectOf(name: string | undefined, folder: string): Project {
  return { name: name ?? toName(basename(folder)), folder };
}

/** The name of a folder as a name of a project: what does not fit is left out, as docker compose does it. */
function toName(folder: string): string {
  const fitting = folder.toLowerCase().replace(/[^a-z0-9_-]/g, '');
  return fitting.slice(0, 63).replace(/^[_-]+|[_-]+$/g, '') || NAMELESS;
}
