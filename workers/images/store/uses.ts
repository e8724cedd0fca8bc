/** Which images services use, by their state files: also those of services that have ended, and without a daemon. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { errorCode, MonocoreError } from '../../../src/lib/errors.ts';
import { formatImageReference, parseImageReference } from '../../../src/protocol/image-reference.ts';
import type { ImageIndex } from '../manifest.ts';
import { nameOf } from './index-entries.ts';

/** Part of a state file that names images, see `SavedStateSchema`. Earlier versions wrote `base` for `image`. */
const UseSchema = v.object({
  service: v.object({ name: v.string(), image: v.nullish(v.string()), base: v.nullish(v.string()) }),
  image_digest: v.nullish(v.string()),
});

/**
 * Services by the digest of the image that they run from, ran from last, or would start from.
 *
 * @throws MonocoreError `Internal` for a state file that cannot be understood: what it uses is not known then
 */
export async function readUses(stateDirs: readonly string[], index: ImageIndex): Promise<Map<string, Set<string>>> {
  const uses = new Map<string, Set<string>>();
  const note = (digest: string, service: string) => uses.set(digest, (uses.get(digest) ?? new Set()).add(service));
  for (const path of (await Promise.all(stateDirs.map(listStateFiles))).flat()) {
    const document = await readUse(path);
    if (document === null) continue;
    const { service, image_digest } = document;
    if (image_digest) note(image_digest, service.name);
    const reference = service.image ?? service.base;
    if (reference) {
      const name = formatImageReference(parseImageReference(reference));
      for (const entry of index.manifests) if (nameOf(entry) === name) note(entry.digest, service.name);
    }
  }
  return uses;
}

async function listStateFiles(dir: string): Promise<string[]> {
  try {
    const names = await readdir(dir);
    return names.filter((name) => name.endsWith('.json')).map((name) => join(dir, name));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Null for one that has gone meanwhile. */
async function readUse(path: string): Promise<v.InferOutput<typeof UseSchema> | null> {
  try {
    return v.parse(v.pipe(v.string(), v.parseJson(), UseSchema), await readFile(path, 'utf8'));
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return null;
    throw new MonocoreError('Internal', `which image ${path} uses cannot be read; nothing was removed`, { cause });
  }
}
