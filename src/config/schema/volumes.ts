/** Volumes that a service declares itself, and those that it takes from its group. */
import { findPlaceFault, type Volume } from '../../protocol/service.ts';
import type { ParseContext } from './types.ts';
import {
  isProblem,
  isWithin,
  list,
  normalizePath,
  Printable,
  type Problem,
  parsed,
  placeOnHost,
  scalar,
} from './values.ts';

/** Parts of `host[:guest][:ro]`. */
export interface Mount {
  readonly host: string;
  /** Normalised path in the guest; null if only the host path is given. */
  readonly guest: string | null;
  readonly read_only: boolean;
}

const MountText = parsed(Printable, parseMount);

function volumeText(context: ParseContext) {
  return parsed(MountText, ({ host: written, guest, read_only }): Volume | Problem => {
    const host = placeOnHost(written, context);
    if (isProblem(host)) return { problem: `the path on the host ${host.problem}` };
    if (guest === null && host !== normalizePath(written)) return { problem: 'has no path in the guest' };
    return placeVolume({ host, guest: guest ?? host, read_only });
  });
}

function placeVolume(volume: Volume): Volume | Problem {
  const problem = findPlaceFault(volume.guest);
  return problem === null ? volume : { problem };
}

export const Volumes = scalar(
  (context) => list(volumeText(context)),
  'an array of "/host:/guest", "/host:/guest:ro", or one path for both',
  {
    print: (volumes: readonly Volume[]) =>
      volumes.map(({ host, guest, read_only }) => `${host}:${guest}${read_only ? ':ro' : ''}`),
  },
);

/** Host path of a group's volume. */
export const HostPlace = scalar(
  (context) => parsed(Printable, (path) => placeOnHost(path, context)),
  'the path of a file or directory of the host, absolute or beginning with "./"',
);

/** Mount of a group's volume, or of a folder in it, at a path in the guest. */
export const GroupMount = scalar(
  MountText,
  '"part:/guest" or "part:/guest:ro"; the part is a path in the volume, or "." for all of it',
);

function parseMount(text: string): Mount | Problem {
  const [host = '', ...rest] = text.split(':');
  const mode = rest.length > 0 && /^r[ow]$/.test(rest.at(-1)!) ? rest.pop() : 'rw';
  if (host === '' || rest.length > 1) return { problem: 'is not a volume' };
  const [written] = rest;
  if (written === undefined) return { host, guest: null, read_only: mode === 'ro' };
  const guest = normalizePath(written);
  if (isProblem(guest)) return { problem: `the path in the guest ${guest.problem}` };
  return { host, guest, read_only: mode === 'ro' };
}

/** Expands a string in `group_volumes` to a mount of the whole volume; returns the problem if it is invalid. */
export function expandGroupVolume(text: string): { readonly name: string; readonly mount: Mount } | Problem {
  const mount = parseMount(text);
  return isProblem(mount) ? mount : { name: mount.host, mount: { ...mount, host: '.' } };
}

/** Volume of the service that results from a group's volume, or the problem with it. Pure. */
export function toVolume(base: string, mount: Mount | undefined): Volume | Problem {
  const { host: part, guest: written, read_only } = mount ?? { host: '.', guest: null, read_only: false };
  const host = normalizePath(part.startsWith('/') ? part : `${base}/${part}`);
  if (isProblem(host)) return host;
  if (!isWithin(host, base)) return { problem: `leads out of the volume ${base}` };
  return placeVolume({ host, guest: written ?? host, read_only });
}
