/** Looks programs up as execvp(3) does, before anything is started for them. */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, resolve } from 'node:path';
import { MonocoreError } from '../../lib/errors.ts';

/** Whether the daemon may execute the file. */
export function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * Absolute path of `command`: a path is taken relative to `workdir`, a name is searched in `searchPath`.
 *
 * @throws MonocoreError `StartFailed` when there is none
 */
export function findExecutable(command: string, workdir: string, searchPath: string): string {
  if (command.includes('/')) {
    const path = resolve(workdir, command);
    if (isExecutableFile(path)) return path;
    throw new MonocoreError('StartFailed', `${path} is not an executable file`);
  }
  for (const dir of searchPath.split(delimiter)) {
    const path = resolve(workdir, dir, command);
    if (isExecutableFile(path)) return path;
  }
  throw new MonocoreError('StartFailed', `command not found: ${command} (searched in ${searchPath})`);
}
