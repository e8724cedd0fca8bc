/**
 * Kinds of isolation and their capabilities. Code checks for a capability and never compares the kind: a new back end
 * needs a row here, a row in `vm/backends.ts` and its folder.
 */
import * as v from 'valibot';

/** Features that a back end offers to its services. */
export interface Capabilities {
  /** Guest with its own kernel: it has a memory size and a console, and waits for a slot to boot. */
  readonly guest: boolean;
  /** Own root file system, from an image or a directory of the host. */
  readonly images: boolean;
  /** Own disk, which keeps the data that the service writes until it is removed. */
  readonly disk: boolean;
  /** Volumes and secrets: files of the host that appear at other paths in the guest. */
  readonly files: boolean;
  /** TCP ports of the host that are forwarded to the guest. */
  readonly ports: boolean;
  /**
   * UDP ports of the host that are forwarded to the guest; they pass through its network device, see
   * `protocol/network.ts`.
   */
  readonly udp: boolean;
  /** Network device in the network of its group. */
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

/** `vm`: own microVM. `none`: plain process of the host, for development and load tests. */
export const IsolationSchema = v.picklist(Object.keys(KINDS) as Isolation[]);

/** Label for people: `a plain process`. */
export function labelOf(isolation: Isolation): string {
  return KINDS[isolation].label;
}

export function capabilitiesOf(isolation: Isolation): Capabilities {
  return KINDS[isolation].capabilities;
}
