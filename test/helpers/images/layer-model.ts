/**
 * Simplest model of layers: a map of paths, copied for each layer. Whiteouts of a layer apply to what
 * was there before it, so they come first.
 */
import { posix } from 'node:path';
import type { LayerEntry } from './layers.ts';

/** A file of the model; hard links share one. */
export interface ModelFile {
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Content of a file, target of a symlink. */
  readonly content: string;
  readonly xattr: string | null;
}

/** Attributes of directories that only paths name. */
const IMPLICIT: ModelFile = { type: 'directory', mode: 0o755, uid: 0, gid: 0, content: '', xattr: null };

/** Files by path, `/` being the root. */
export function applyLayers(layers: readonly (readonly LayerEntry[])[]): Map<string, ModelFile> {
  const files = new Map<string, ModelFile>([['/', IMPLICIT]]);
  const removeBelow = (path: string) => {
    const prefix = path === '/' ? '/' : `${path}/`;
    for (const other of [...files.keys()]) if (other !== '/' && other.startsWith(prefix)) files.delete(other);
  };
  const addParents = (path: string) => {
    const parent = posix.dirname(path);
    if (parent !== '/') addParents(parent);
    if (files.get(parent)?.type !== 'directory') files.set(parent, { ...IMPLICIT });
  };
  for (const layer of layers) {
    for (const { name } of layer) {
      const [path, base] = [posix.join('/', name), posix.basename(name)];
      if (base === '.wh..wh..opq') removeBelow(posix.dirname(path));
      else if (base.startsWith('.wh.')) {
        const hidden = posix.join(posix.dirname(path), base.slice(4));
        files.delete(hidden);
        removeBelow(hidden);
      }
    }
    for (const { name, type = 'file', ...entry } of layer) {
      const path = posix.join('/', name).replace(/(.)\/$/, '$1');
      if (posix.basename(path).startsWith('.wh.')) continue;
      const target = type === 'link' ? files.get(posix.join('/', entry.linkname!)) : undefined;
      addParents(path);
      if (type !== 'directory') removeBelow(path);
      files.set(path, target ?? modelFile({ name, type, ...entry }));
    }
  }
  return files;
}

function modelFile({ type, mode, uid = 0, gid = 0, content = '', linkname, pax }: LayerEntry): ModelFile {
  return {
    type: type!,
    mode: type === 'symlink' ? 0o777 : mode!,
    uid,
    gid,
    content: type === 'symlink' ? linkname! : String(content),
    xattr: pax?.['SCHILY.xattr.user.note'] ?? null,
  };
}
