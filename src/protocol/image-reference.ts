/**
 * Names of images: `alpine`, `ghcr.io/owner/app:1.2`, `localhost:5000/web@sha256:…`. Grammar and defaults are those of
 * `docker pull`: `reference/reference.go` and `normalize.go` of the distribution project.
 */
import { MonocoreError } from '../lib/errors.ts';

/** Registry of names that do not contain one. */
export const DEFAULT_REGISTRY = 'docker.io';
const DEFAULT_TAG = 'latest';
/** Maximum length of a repository name with its registry, as in the distribution project. */
const MAX_NAME_CHARACTERS = 255;

const HOST =
  /^(?:(?:[a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])(?:\.(?:[a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9]))*|\[[a-f0-9:]+\])(?::\d{1,5})?$/i;
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^sha256:[a-f0-9]{64}$/;

export interface ImageReference {
  /** `docker.io`, `localhost:5000`: host and port, lower case. */
  readonly registry: string;
  /** Repository, such as `library/alpine`. */
  readonly repository: string;
  /** Null only for a digest without a tag. */
  readonly tag: string | null;
  /** `sha256:` and 64 hexadecimal digits, or null; takes precedence over the tag. */
  readonly digest: string | null;
}

/** Parses a name and adds defaults. @throws MonocoreError `Usage` for a text that is not an image name */
export function parseImageReference(text: string): ImageReference {
  const [name = '', digest = null, ...rest] = text.split('@');
  if (rest.length > 0) throw invalid(text, 'there is more than one @');
  if (digest !== null && !isDigest(digest)) throw invalid(text, 'a digest is sha256: and 64 hexadecimal digits');
  const { registry, remainder } = splitRegistry(name);
  const colon = remainder.lastIndexOf(':');
  const path = colon === -1 ? remainder : remainder.slice(0, colon);
  const tag = colon === -1 ? null : remainder.slice(colon + 1);
  if (!HOST.test(registry)) throw invalid(text, 'the part before the first / is not a registry');
  if (tag !== null && !TAG.test(tag)) throw invalid(text, 'the part after the last : is not a tag');
  const repository = registry === DEFAULT_REGISTRY && !path.includes('/') ? `library/${path}` : path;
  if (!REPOSITORY.test(repository)) {
    throw invalid(text, 'a name has lower case letters, digits and single separators (. _ - /)');
  }
  if (registry.length + 1 + repository.length > MAX_NAME_CHARACTERS) throw invalid(text, 'it is too long');
  return { registry, repository, tag: tag ?? (digest === null ? DEFAULT_TAG : null), digest };
}

/** Full name, under which the store keeps an image: `docker.io/library/alpine:latest`. */
export function formatImageReference({ registry, repository, tag, digest }: ImageReference): string {
  return `${registry}/${repository}${tag === null ? '' : `:${tag}`}${digest === null ? '' : `@${digest}`}`;
}

/** Full name of an image for a name as typed by a user. @throws as {@link parseImageReference} */
export function fullImageName(text: string): string {
  return formatImageReference(parseImageReference(text));
}

/** True for a digest with the only supported algorithm. */
export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

/** True if the name of a registry (`host` or `host:port`) refers to this host; nothing is resolved. */
export function isLoopbackRegistry(registry: string): boolean {
  const host = registry.replace(/:\d+$/, '');
  return host === 'localhost' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** Splits off the registry: a first component that cannot begin a repository name on the default registry. */
function splitRegistry(name: string): { registry: string; remainder: string } {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  const host = first.toLowerCase();
  // Docker also treats an upper-case name without a dot as a host; in lower case it would be a repository the next
  // time.
  if (!/[.:]/.test(host) && host !== 'localhost') return { registry: DEFAULT_REGISTRY, remainder: name };
  const registry = host === 'index.docker.io' ? DEFAULT_REGISTRY : host;
  return { registry, remainder: name.slice(slash + 1) };
}

function invalid(text: string, reason: string): MonocoreError {
  return new MonocoreError('Usage', `${JSON.stringify(text)} is not the name of an image: ${reason}`);
}
