/** How the daemon gets images that services name: `[images]` of the config. */
import * as v from 'valibot';

/** Settings of a whole home. They are those of the config that was started last. */
export const ImageSettingsSchema = v.object({
  /** Registries, `host` or `host:port` in lower case, that are asked by plain HTTP. */
  insecure_registries: v.array(v.string()),
  /** Most bytes of one image: of its blobs as they are kept, and again of the root file system that is made of them. */
  max_image_size_bytes: v.number(),
});
export type ImageSettings = v.InferOutput<typeof ImageSettingsSchema>;

export const DEFAULT_IMAGE_SETTINGS: ImageSettings = Object.freeze({
  insecure_registries: [],
  max_image_size_bytes: 16 * 2 ** 30,
});
