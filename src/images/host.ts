/** What the image store takes from the host. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Platform, ProxySettings } from '../protocol/images.ts';

/** Go's names for Node's, where they differ: images are labelled in Go's (`go tool dist list`). */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };

/** The platform of guests: Linux on the host's processor. */
export function hostPlatform(arch: string = process.arch): Platform {
  return { os: 'linux', architecture: ARCHITECTURES[arch] ?? arch, variant: null };
}

/** Docker's config file, where `docker login` keeps credentials: below `DOCKER_CONFIG`, else `~/.docker`. */
export function dockerConfigPath(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.DOCKER_CONFIG || join(homedir(), '.docker'), 'config.json');
}

/**
 * Proxies by the names that most programs know. Those in small letters win, as with curl(1), where both are set; empty ones
 * count as not set.
 */
export function proxySettings(env: NodeJS.ProcessEnv = process.env): ProxySettings {
  const read = (name: string): string | null => env[name.toLowerCase()] || env[name] || null;
  return { http: read('HTTP_PROXY'), https: read('HTTPS_PROXY'), exempt: read('NO_PROXY') ?? '' };
}
