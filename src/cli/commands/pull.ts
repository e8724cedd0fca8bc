/** `monocore pull`. */
import { statSync } from 'node:fs';
import { dockerConfigPath, proxySettings } from '../../images/image-jobs.ts';
import { parseImageReference } from '../../protocol/image-reference.ts';
import { DEFAULT_IMAGE_SETTINGS } from '../../protocol/images.ts';
import type { CliContext } from '../connection.ts';
import { followImages } from './image-request.ts';

interface PullOptions {
  readonly insecure?: boolean;
  readonly insecureRegistry?: readonly string[];
  /** Bytes. */
  readonly maxImageSize?: number;
}

export async function pull(context: CliContext, options: PullOptions, names: readonly string[]): Promise<number> {
  // Rejects an invalid name before any image is pulled.
  for (const name of names) parseImageReference(name);
  return followImages(context, (images, request) =>
    images.pull(
      {
        names,
        insecure_loopback: options.insecure ?? false,
        insecure_registries: (options.insecureRegistry ?? []).map((host) => host.toLowerCase()),
        max_image_size_bytes: options.maxImageSize ?? DEFAULT_IMAGE_SETTINGS.max_image_size_bytes,
        docker_config: callersDockerConfig(context.paths.socket),
        proxies: proxySettings(),
      },
      request,
    ),
  );
}

/** Docker config of the caller; null if the daemon belongs to another user, who may be unable to read it. */
function callersDockerConfig(socketPath: string): string | null {
  const socket = statSync(socketPath, { throwIfNoEntry: false });
  return socket && socket.uid !== process.getuid?.() ? null : dockerConfigPath();
}
