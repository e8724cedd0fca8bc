/** `monocore pull`. */
import { parseImageReference } from '../../protocol/image-reference.ts';
import { DEFAULT_IMAGE_SETTINGS } from '../../protocol/images.ts';
import type { CliContext } from '../connection.ts';
import { followImages } from './image-request.ts';

/** Options of `pull`. */
export interface PullOptions {
  readonly insecure?: boolean;
  readonly insecureRegistry?: readonly string[];
  /** Bytes. */
  readonly maxImageSize?: number;
}

/** Gets images from their registries; needs no daemon. Returns the exit code. */
export async function pull(context: CliContext, options: PullOptions, names: readonly string[]): Promise<number> {
  // A wrong name is said before any is pulled.
  for (const name of names) parseImageReference(name);
  return followImages(context, (images, request) =>
    images.pull(
      {
        names,
        insecureLoopback: options.insecure ?? false,
        insecureRegistries: (options.insecureRegistry ?? []).map((host) => host.toLowerCase()),
        maxImageBytes: options.maxImageSize ?? DEFAULT_IMAGE_SETTINGS.max_image_size_bytes,
      },
      request,
    ),
  );
}
