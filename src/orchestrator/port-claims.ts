/** Ports of the host that services claim: two that want the same one are found before either is started. Pure. */
import { MonocoreError } from '../lib/errors.ts';
import { addressOf, type ServiceDefinition } from '../supervisor/status.ts';

/** A service that has its ports and is not started anew. */
export interface PortHolder {
  readonly definition: ServiceDefinition;
  /** Why it has them, for people: `runs`. */
  readonly because: string;
}

/** `service web of group shop`. */
function nameOf({ service }: ServiceDefinition): string {
  return service.group === null ? `service ${service.name}` : `service ${service.name} of group ${service.group}`;
}

/**
 * Checks services that are to be started against each other, and against those that have their ports already.
 *
 * @throws MonocoreError `StartFailed` naming the port and both services
 */
export function checkPortClaims(starting: readonly ServiceDefinition[], holders: readonly PortHolder[]): void {
  const owners = new Map<string, PortHolder | { readonly definition: ServiceDefinition; readonly because: null }>();
  for (const holder of holders) for (const port of portsOf(holder.definition)) owners.set(port, holder);
  for (const definition of starting) {
    for (const port of portsOf(definition)) {
      const owner = owners.get(port);
      if (owner) throw new MonocoreError('StartFailed', describe(port, definition, owner.definition, owner.because));
      owners.set(port, { definition, because: null });
    }
  }
}

function portsOf(definition: ServiceDefinition): string[] {
  return definition.service.ports.map(({ host, protocol }) => `port ${addressOf(definition)}:${host} (${protocol})`);
}

/** @param because of a {@link PortHolder}; null for an owner that is to be started, too */
function describe(port: string, wanting: ServiceDefinition, owner: ServiceDefinition, because: string | null): string {
  const { name } = owner.service;
  if (because !== null) {
    const remedy = `stop ${name} or choose another host port`;
    return `${port} of ${nameOf(wanting)} is taken by ${nameOf(owner)}, which ${because}; ${remedy}`;
  }
  if (name === wanting.service.name) return `${port} is forwarded twice by ${nameOf(wanting)}; leave one of them out`;
  return `${port} is wanted by ${nameOf(owner)} and ${nameOf(wanting)}; choose another host port for one of them`;
}
