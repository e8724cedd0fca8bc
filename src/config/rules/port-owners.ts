/** Owners of host ports by address: a port of all addresses is that of each of them. Pure. */
import { ANY_ADDRESS } from '../../protocol/input.ts';
import type { ForwardedPort } from '../../protocol/service.ts';

type BoundPort = Pick<ForwardedPort, 'address' | 'host' | 'protocol'>;

export class PortOwners<Owner> {
  /** By port, then by address. */
  readonly #owners = new Map<string, Map<string, Owner>>();

  /** The owner that keeps others from a port; null when it is free. */
  find({ address, ...port }: BoundPort): Owner | null {
    const owners = this.#owners.get(keyOf(port));
    if (owners === undefined) return null;
    const [any] = address === ANY_ADDRESS ? owners.values() : [];
    return owners.get(address) ?? owners.get(ANY_ADDRESS) ?? any ?? null;
  }

  /** Adds an owner; the first one of a port keeps it. */
  add({ address, ...port }: BoundPort, owner: Owner): void {
    const owners = this.#owners.get(keyOf(port)) ?? new Map<string, Owner>();
    this.#owners.set(keyOf(port), owners);
    if (!owners.has(address)) owners.set(address, owner);
  }
}

function keyOf({ host, protocol }: Omit<BoundPort, 'address'>): string {
  return `${host}/${protocol}`;
}
