/** Entries of a store's `index.json`: the image that each name stands for. */
import { type Descriptor, type ImageIndex, NAME_ANNOTATION, nameOf } from '../../../src/protocol/images.ts';
import type { ImageStore } from './store.ts';

/** Annotation with the time of the entry, RFC 3339. */
const PULLED_AT = 'monocore.pulled-at';

/** Time of an entry, RFC 3339; null for one without. */
export function pulledAtOf({ annotations }: Descriptor): string | null {
  return annotations?.[PULLED_AT] ?? null;
}

/**
 * Gives a name to an image. The image that had it stays, nameless unless it has another name, because a service may use it.
 * A named image has no nameless entry.
 */
function nameImage(index: ImageIndex, name: string, image: Descriptor, pulledAt: string): ImageIndex {
  const entry = { ...image, annotations: { [NAME_ANNOTATION]: name, [PULLED_AT]: pulledAt } };
  const manifests = index.manifests.map((old) => (nameOf(old) === name ? withoutName(old) : old));
  return { ...index, manifests: dropNameless([...manifests, entry]) };
}

/** Removes entries. */
export function dropEntries(index: ImageIndex, gone: ReadonlySet<Descriptor>): ImageIndex {
  return { ...index, manifests: index.manifests.filter((entry) => !gone.has(entry)) };
}

function withoutName(entry: Descriptor): Descriptor {
  const { [NAME_ANNOTATION]: _, ...annotations } = entry.annotations ?? {};
  return { ...entry, annotations };
}

function dropNameless(manifests: readonly Descriptor[]): Descriptor[] {
  const named = new Set(manifests.filter((entry) => nameOf(entry) !== null).map(({ digest }) => digest));
  const seen = new Set<string>();
  return manifests.filter((entry) => {
    if (nameOf(entry) !== null) return true;
    const isFirst = !named.has(entry.digest) && !seen.has(entry.digest);
    seen.add(entry.digest);
    return isFirst;
  });
}

/** Gives a name to an image that is completely in the store. */
export async function nameStored(store: ImageStore, name: string, image: Descriptor): Promise<void> {
  const index = await store.readIndex();
  await store.writeIndex(nameImage(index, name, image, new Date().toISOString()));
}
