/** Paths of layers as the names that lead to an entry from the root. Pure. */
import { invalidLayer, limitPassed, MAX_NAME_BYTES, MAX_PATH_BYTES, showBytes } from './limits.ts';

/**
 * The names of `path` from the root on; none for the root itself. As in a chroot, a leading `/` and `./` say nothing
 * and `..` of the root is the root: there is nothing outside of the image that a path could name. Symlinks are not
 * followed.
 *
 * @param path one character per byte
 * @throws MonocoreError `ImageInvalid` for a path or name that Linux could not have
 */
export function splitPath(path: string): string[] {
  if (path.length > MAX_PATH_BYTES) {
    throw limitPassed(
      'path',
      `a path of ${path.length} bytes, at most ${MAX_PATH_BYTES} are possible: ${showBytes(path)}`,
    );
  }
  if (path.includes('\0')) throw invalidLayer(`a path with a zero byte: ${showBytes(path)}`);
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name === '..') names.pop();
    else if (name.length > MAX_NAME_BYTES) {
      throw limitPassed(
        'name',
        `a name of ${name.length} bytes, at most ${MAX_NAME_BYTES} are possible: ${showBytes(path)}`,
      );
    } else names.push(name);
  }
  return names;
}
