/** The entries of a store's `index.json`: which image a name stands for. Pure. */
import { type Descriptor, type ImageIndex, NAME_ANNOTATION, nameOf } from '../../../src/protocol/images.ts';

export { nameOf } from '../../../src/protocol/images.ts';

/** When the entry was made, RFC 3339. */
const PULLED_AT = 'monocore.pulled-at';

/** When an entry came, RFC 3339. */
export function pulledAtOf({ annotations }: Descriptor): string | null {
  return annotations?.[PULLED_AT] ?? null;
}

/**
 * Gives a name to an image. The image that had it so far stays, without a name if it has no other: a service may be
 * using it. Of an image that has a name there is no entry without one.
 */
export function nameImage(index: ImageIndex, name: string, image: Descriptor, pulledAt: string): ImageIndex {
  const entry = { ...image, annotations: { [NAME_ANNOTATION]: name, [PULLED_AT]: pulledAt } };
  const manifests = index.manifests.map((old) => (nameOf(old) === name ? withoutName(old) : old));
  return { ...index, manifests: dropNameless([...manifests, entry]) };
}

/** Takes entries out; what they describe is no longer an image of the store unless another entry has it. */
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
