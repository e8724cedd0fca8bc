/**
 * The index of the image store, `index.json` of an OCI image layout (image-spec, image-index.md and image-layout.md): jobs
 * change it, the main thread looks names up in it.
 */
import * as v from 'valibot';
import { isDigest } from './image-reference.ts';

const PlatformSchema = v.object({
  os: v.string(),
  architecture: v.string(),
  variant: v.optional(v.string()),
});

export const DescriptorSchema = v.object({
  mediaType: v.string(),
  digest: v.pipe(v.string(), v.check(isDigest, 'a digest is sha256: and 64 hexadecimal digits')),
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  platform: v.optional(PlatformSchema),
  annotations: v.optional(v.record(v.string(), v.string())),
});

export const ImageIndexSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  manifests: v.array(DescriptorSchema),
});

export type Descriptor = v.InferOutput<typeof DescriptorSchema>;
export type ImageIndex = v.InferOutput<typeof ImageIndexSchema>;

/** Image-spec, annotations.md: the name of a reference in an image layout. */
export const NAME_ANNOTATION = 'org.opencontainers.image.ref.name';

/** The name of an entry in full, or null for an image whose name was taken by another. */
export function nameOf({ annotations }: Descriptor): string | null {
  return annotations?.[NAME_ANNOTATION] ?? null;
}
