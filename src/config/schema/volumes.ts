/** Volumes of a service's own, and those that it takes from its group. */
import * as v from 'valibot';
import { findPlaceFault, type Volume } from '../../protocol/service.ts';
import { isWithin, list, normalizePath, Printable, scalar } from './values.ts';

/** `host[:guest][:ro]` as written, split. */
export interface Mount {
  readonly host: string;
  /** Normalised; null where only the host's path is given. */
  readonly guest: string | null;
  readonly read_only: boolean;
}

const MountText = v.pipe(
  Printable,
  v.rawTransform<string, Mount>(({ dataset, addIssue, NEVER }) => {
    const mount = parseMount(dataset.value);
    if (typeof mount !== 'string') return mount;
    addIssue({ message: mount });
    return NEVER;
  }),
);

const VolumeText = v.pipe(
  MountText,
  v.rawTransform<Mount, Volume>(({ dataset, addIssue, NEVER }) => {
    const { host: written, guest, read_only } = dataset.value;
    const host = normalizePath(written);
    const problem = typeof host === 'string' ? findPlaceFault(guest ?? host) : `the path on the host ${host.problem}`;
    if (typeof host === 'string' && problem === null) return { host, guest: guest ?? host, read_only };
    addIssue({ message: problem ?? '' });
    return NEVER;
  }),
);

export const Volumes = scalar(list(VolumeText), 'an array of "/host:/guest", "/host:/guest:ro", or one path for both', {
  print: (volumes: readonly Volume[]) =>
    volumes.map(({ host, guest, read_only }) => `${host}:${guest}${read_only ? ':ro' : ''}`),
});

/** A part of a group's volume, and its place in the guest. */
export const GroupMount = scalar(
  MountText,
  '"part:/guest" or "part:/guest:ro"; the part is a path in the volume, or "." for all of it',
);

function parseMount(text: string): Mount | string {
  const [host = '', ...rest] = text.split(':');
  const mode = rest.length > 0 && /^r[ow]$/.test(rest.at(-1)!) ? rest.pop() : 'rw';
  if (host === '' || rest.length > 1) return 'is not a volume';
  const [written] = rest;
  if (written === undefined) return { host, guest: null, read_only: mode === 'ro' };
  const guest = normalizePath(written);
  if (typeof guest !== 'string') return `the path in the guest ${guest.problem}`;
  return { host, guest, read_only: mode === 'ro' };
}

interface GroupVolume {
  readonly name: string;
  readonly mount: Mount | undefined;
}

/** The whole volume, from a string in `group_volumes`; or the problem with it. */
export function expandGroupVolume(text: string): GroupVolume | { readonly problem: string } {
  const mount = parseMount(text);
  if (typeof mount === 'string') return { problem: mount };
  return { name: mount.host, mount: { ...mount, host: '.' } };
}

/** The volume that a service gets of a group's, or the problem with it. Pure. */
export function toVolume(base: string, mount: Mount | undefined): Volume | { readonly problem: string } {
  const { host: part, guest: written, read_only } = mount ?? { host: '.', guest: null, read_only: false };
  const host = normalizePath(part.startsWith('/') ? part : `${base}/${part}`);
  if (typeof host !== 'string') return host;
  if (!isWithin(host, base)) return { problem: `leads out of the volume ${base}` };
  const guest = written ?? host;
  const problem = findPlaceFault(guest);
  return problem === null ? { host, guest, read_only } : { problem };
}
