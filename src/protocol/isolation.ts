/**
 * Kinds of isolation and their capabilities. Code asks for a capability and never compares the kind: a new back end is a row
 * here, its row in `vm/backends.ts` and its folder.
 */
import * as v from 'valibot';

/** Features that a back end offers to its services. */
export interface Capabilities {
  /** A guest with its own kernel: it has a size, prints to a console, and waits for a slot to boot in. */
  readonly guest: boolean;
  /** A root filesystem of its own, from an image or a directory of the host. */
  readonly images: boolean;
  /** A disk of its own, which keeps what the service writes until it is removed. */
  readonly disk: boolean;
  /** Volumes and secrets: files of the host that appear at other places in the guest. */
  readonly files: boolean;
  /** TCP ports of the host that are forwarded to the guest. */
  readonly ports: boolean;
  /** UDP ports likewise; they pass through the guest's network device, see `protocol/network.ts`. */
  readonly udp: boolean;
  /** A network device among the other members of its group. */
  readonly networks: boolean;
}

/** Kinds by the value of `isolation` in the config. */
const KINDS = {
  vm: {
    label: 'a microVM',
    capabilities: { guest: true, images: true, disk: true, files: true, ports: true, udp: true, networks: true },
  },
  none: {
    label: 'a plain process',
    capabilities: { guest: false, images: false, disk: false, files: false, ports: false, udp: false, networks: false },
  },
} as const satisfies Record<string, { readonly label: string; readonly capabilities: Capabilities }>;

export type Isolation = keyof typeof KINDS;

/** `vm`: a microVM of its own. `none`: a plain process of the host, for development and load tests. */
export const IsolationSchema = v.picklist(Object.keys(KINDS) as Isolation[]);

/** Label for people: `a plain process`. */
export function labelOf(isolation: Isolation): string {
  return KINDS[isolation].label;
}

export function capabilitiesOf(isolation: Isolation): Capabilities {
  return KINDS[isolation].capabilities;
}
