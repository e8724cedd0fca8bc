/** Absolute paths, compared as text; the disk is not read. */

/** PATH_MAX of Linux without its NUL, see path_resolution(7). */
const MAX_PATH_BYTES = 4095;

/**
 * Normalises a path: without `.`, `..` and redundant slashes. Unlike in path.normalize(), a `..` that would leave the root
 * is a problem: it is a mistake.
 */
export function normalizePath(path: string): string | { readonly problem: string } {
  if (!path.startsWith('/')) return { problem: 'must be absolute' };
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return { problem: `is longer than ${MAX_PATH_BYTES} bytes` };
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return { problem: 'leads above the root' };
  }
  return `/${parts.join('/')}`;
}

/** The normalised path and all its parents up to the root: `/a/b`, `/a`, `/`. */
export function* upwards(path: string): Generator<string> {
  let current = path;
  while (current !== '/') {
    yield current;
    current = current.slice(0, current.lastIndexOf('/')) || '/';
  }
  yield current;
}

/** True when the first normalised path is the second one or below it, by segments: `/database` is not below `/data`. */
export function isWithin(path: string, folder: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`);
}
