/** The keys of `[images]`; see `schema.ts` for how they are written down. */
import * as v from 'valibot';
import { formatSize } from '../../lib/units.ts';
import { type Config, DEFAULT_IMAGE_SETTINGS } from '../../protocol/service.ts';
import type { Values } from './config.ts';
import * as field from './fields.ts';

const MIN_IMAGE_BYTES = 2 ** 20;
const MAX_IMAGE_BYTES = 2 ** 50;

/** Keys of `[images]`. */
export function imageEntries() {
  return {
    insecure_registries: v.pipe(
      v.optional(v.array(field.Registry, field.mustBe('an array')), []),
      v.description('an array of registries such as "registry.lan:5000"'),
    ),
    max_image_size: v.pipe(
      v.optional(field.sizeBytes(MIN_IMAGE_BYTES, MAX_IMAGE_BYTES), DEFAULT_IMAGE_SETTINGS.max_image_size_bytes),
      v.description(`a size such as "16GiB", at least ${formatSize(MIN_IMAGE_BYTES)}`),
    ),
  };
}

export type ImageValues = Values<ReturnType<typeof imageEntries>>;

/** The settings that the valid keys of `[images]` are. */
export function toImageSettings(values: ImageValues): Config['images'] {
  return {
    insecure_registries: [...new Set(values.insecure_registries)],
    max_image_size_bytes: values.max_image_size,
  };
}
