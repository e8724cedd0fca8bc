/** `volumes` and `group_volumes` of a service, `[[group.volume]]`; see `schema.ts` for how they are written down. */
import * as v from 'valibot';
import { findPlaceFault } from '../../protocol/guest-places.ts';
import type { Volume } from '../../protocol/service.ts';
import { isTable, type Table } from '../languages/syntax.ts';
import { isWithin, normalizePath } from '../paths.ts';
import type { Values } from './config.ts';
import { AbsolutePath, Name, Printable, Text } from './fields.ts';

export const VOLUME = '"/host:/guest", "/host:/guest:ro", or one path for both';

/** `host[:guest][:ro]` as written, split. */
export interface Mount {
  readonly host: string;
  /** Normalised, or null where nothing is said. */
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

/** A volume of a service's own. */
export const VolumeText = v.pipe(
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

/** Keys of `[[group.volume]]`. */
export function groupVolumeEntries() {
  return {
    name: v.pipe(Name, v.description('a name, by which services take the volume')),
    path: v.pipe(AbsolutePath, v.description('the absolute path of a file or directory of the host')),
  };
}

export type GroupVolumeValues = Values<ReturnType<typeof groupVolumeEntries>>;

/** A name with what follows it, or a table that is read by itself, see {@link groupMountEntries}. */
export const GroupMount = v.custom<string | Table>(
  (input) => typeof input === 'string' || isTable(input),
  'must be a string or a table',
);

export const GROUP_MOUNT =
  'an array of "name", "name:/guest" or "name:/guest:ro", or of tables such as { name = "data", mount = "logs:/var/log" }';

/** Keys of a table in `group_volumes`. */
export function groupMountEntries() {
  return {
    name: v.pipe(Text, v.description('the name of a [[group.volume]]')),
    mount: v.pipe(
      v.optional(MountText),
      v.description('"part:/guest" or "part:/guest:ro"; the part is a path in the volume, or "." for all of it'),
    ),
  };
}

/** A reference to a volume of the group. */
export type GroupMountValues = Values<ReturnType<typeof groupMountEntries>>;

/** What an element of `group_volumes` that is a string says: the whole volume. Or what is wrong with it. */
export function readGroupMount(text: string): GroupMountValues | { readonly problem: string } {
  const mount = parseMount(text);
  if (typeof mount === 'string') return { problem: mount };
  return { name: mount.host, mount: { ...mount, host: '.' } };
}

/** The volume that a service gets of a group's, or what speaks against it. Pure. */
export function toVolume(base: string, mount: Mount | undefined): Volume | { readonly problem: string } {
  const { host: part, guest: written, read_only } = mount ?? { host: '.', guest: null, read_only: false };
  const host = normalizePath(part.startsWith('/') ? part : `${base}/${part}`);
  if (typeof host !== 'string') return host;
  if (!isWithin(host, base)) return { problem: `leads out of the volume, which is ${base}` };
  const guest = written ?? host;
  const problem = findPlaceFault(guest);
  return problem === null ? { host, guest, read_only } : { problem };
}
