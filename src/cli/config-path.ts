/** Which config a command is about. */
import { resolve } from 'node:path';
import { findConfig } from '../config/read.ts';

/**
 * Absolute path of the config that `-f` names, or else of the one in the current folder.
 *
 * @throws MonocoreError `ConfigInvalid` where there are several
 */
export function configPath({ file }: { readonly file?: string }): string {
  return file === undefined ? findConfig(process.cwd()) : resolve(file);
}
