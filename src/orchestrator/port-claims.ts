/** Host ports that services claim: conflicts are found before either service is started. */
import { PortOwners } from '../config/rules/port-owners.ts';
import { MonocoreError } from '../lib/errors.ts';
import type { ForwardedPort } from '../protocol/service.ts';
import { portsOf, type ServiceDefinition } from '../supervisor/status.ts';
import type { Before } from './rollback.ts';

/** Service that claims its ports. */
export interface PortHolder {
  readonly definition: ServiceDefinition;
  /** Reason why it already holds the ports, for people: `runs`; null if it does not. */
  readonly because: string | null;
}

/** Starts in progress: no other command may take their ports, addresses and indexes. Main thread. */
export class UnfinishedStarts {
  readonly #starts = new Set<readonly PortHolder[]>();

  /**
   * Registers a start.
   *
   * @param before services that a rollback may restore
   * @returns a function that releases the claims of the start
   */
  add(definitions: readonly ServiceDefinition[], before: readonly Before[] = []): () => void {
    const claims = [
      ...before.map(({ definition, wasUp }) => ({ definition, because: wasUp ? 'may be restored' : null })),
      ...definitions.map((definition) => ({ definition, because: 'is being started' })),
    ];
    this.#starts.add(claims);
    return () => this.#starts.delete(claims);
  }

  /** Services that keep their addresses and indexes: as they are being started, and as a rollback may restore them. */
  definitions(): ServiceDefinition[] {
    return [...this.#starts].flat().map(({ definition }) => definition);
  }

  holders(): PortHolder[] {
    return [...this.#starts].flat().filter(({ because }) => because !== null);
  }
}

/**
 * Checks services to start against each other and against those that already hold ports. Pure.
 *
 * @throws MonocoreError `StartFailed` with the port and both services
 */
export function checkPortClaims(starting: readonly ServiceDefinition[], holders: readonly PortHolder[]): void {
  const owners = new PortOwners<{ readonly holder: PortHolder; readonly port: ForwardedPort }>();
  for (const holder of holders) for (const port of portsOf(holder.definition)) owners.add(port, { holder, port });
  for (const definition of starting) {
    for (const port of portsOf(definition)) {
      const owner = owners.find(port);
      if (owner) throw new MonocoreError('StartFailed', describe(port, definition, owner.holder, owner.port.address));
      owners.add(port, { holder: { definition, because: null }, port });
    }
  }
}

/** `service web of group shop`. */
function nameOf({ service }: ServiceDefinition): string {
  return service.group === null ? `service ${service.name}` : `service ${service.name} of group ${service.group}`;
}

function describe(
  { address, host, protocol }: ForwardedPort,
  wanting: ServiceDefinition,
  { definition: owner, because }: PortHolder,
  heldAddress: string,
): string {
  const { name } = owner.service;
  const port = `port ${address}:${host} (${protocol})`;
  const other = heldAddress === address ? '' : `, as ${heldAddress}:${host}`;
  if (because !== null) {
    const remedy = `stop ${name} or choose another host port`;
    return `${port} of ${nameOf(wanting)} is taken by ${nameOf(owner)}${other}, which ${because}; ${remedy}`;
  }
  if (name === wanting.service.name)
    return `${port} is forwarded twice by ${nameOf(wanting)}${other}; leave one of them out`;
  return `${port} is claimed by ${nameOf(owner)}${other} and ${nameOf(wanting)}; choose another host port for one of them`;
}
