/**
 * Names of images: `alpine`, `ghcr.io/owner/app:1.2`, `localhost:5000/web@sha256:…`.
 *
 * The grammar and the defaults are those of the distribution project (`reference/reference.go`, `normalize.go`), so that
 * a name means here what it means to `docker pull`.
 */
import { MonocoreError } from '../lib/errors.ts';

/** The registry of names that name none. */
export const DEFAULT_REGISTRY = 'docker.io';
const DEFAULT_TAG = 'latest';
/** Longest repository name with its registry, as in the distribution project. */
const MAX_NAME_CHARACTERS = 255;

const HOST =
  /^(?:(?:[a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])(?:\.(?:[a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9]))*|\[[a-f0-9:]+\])(?::\d{1,5})?$/i;
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^sha256:[a-f0-9]{64}$/;

/** A parsed name. */
export interface ImageReference {
  /** `docker.io`, `localhost:5000`: host and port, lower case. */
  readonly registry: string;
  /** `library/alpine`. */
  readonly repository: string;
  /** Null only where a digest is given without a tag. */
  readonly tag: string | null;
  /** `sha256:` and 64 hexadecimal digits, or null; it wins over the tag. */
  readonly digest: string | null;
}

/**
 * Parses a name and fills in what it leaves out. Any thread.
 *
 * @throws MonocoreError `Usage` for a text that names no image
 */
export function parseImageReference(text: string): ImageReference {
  const [name = '', digest = null, ...rest] = text.split('@');
  if (rest.length > 0) throw invalid(text, 'there is more than one @');
  if (digest !== null && !isDigest(digest)) throw invalid(text, 'a digest is sha256: and 64 hexadecimal digits');
  const { registry, remainder } = splitRegistry(name);
  const colon = remainder.lastIndexOf(':');
  const path = colon === -1 ? remainder : remainder.slice(0, colon);
  const tag = colon === -1 ? null : remainder.slice(colon + 1);
  if (!HOST.test(registry)) throw invalid(text, 'the part before the first / is no registry');
  if (tag !== null && !TAG.test(tag)) throw invalid(text, 'what follows the last : is no tag');
  const repository = registry === DEFAULT_REGISTRY && !path.includes('/') ? `library/${path}` : path;
  if (!REPOSITORY.test(repository)) {
    throw invalid(text, 'a name has lower case letters, digits and single separators (. _ - /)');
  }
  if (registry.length + 1 + repository.length > MAX_NAME_CHARACTERS) throw invalid(text, 'it is too long');
  return { registry, repository, tag: tag ?? (digest === null ? DEFAULT_TAG : null), digest };
}

/** The name in full: `docker.io/library/alpine:latest`. Under it an image is kept. */
export function formatImageReference({ registry, repository, tag, digest }: ImageReference): string {
  return `${registry}/${repository}${tag === null ? '' : `:${tag}`}${digest === null ? '' : `@${digest}`}`;
}

/** Whether a text is a digest in the one algorithm that is supported. */
export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

/** Whether a registry (`host` or `host:port`) is on this host, by its name alone: nothing is looked up. */
export function isLoopbackRegistry(registry: string): boolean {
  const host = registry.replace(/:\d+$/, '');
  return host === 'localhost' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** The first part is a registry if it cannot be the start of a repository's name on the default one. */
function splitRegistry(name: string): { registry: string; remainder: string } {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  if (!/[.:A-Z]/.test(first) && first !== 'localhost') return { registry: DEFAULT_REGISTRY, remainder: name };
  const host = first.toLowerCase();
  const registry = host === 'index.docker.io' ? DEFAULT_REGISTRY : host;
  return { registry, remainder: name.slice(slash + 1) };
}

function invalid(text: string, reason: string): MonocoreError {
  return new MonocoreError('Usage', `${JSON.stringify(text)} is not the name of an image: ${reason}`);
}
