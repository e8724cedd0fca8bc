/** Ports of the host that services claim: two that want the same one are found before either is started. Pure. */
import { MonocoreError } from '../errors.ts';
import { addressOf, type ServiceDefinition } from './document.ts';

/** `service web of group shop`. */
function nameOf({ service }: ServiceDefinition): string {
  return service.group === null ? `service ${service.name}` : `service ${service.name} of group ${service.group}`;
}

/**
 * Checks services that are to be started against each other, and against those that run.
 *
 * @param running those that are not started anew
 * @throws MonocoreError `StartFailed` naming the port and both services
 */
export function checkPortClaims(starting: readonly ServiceDefinition[], running: readonly ServiceDefinition[]): void {
  const owners = new Map<string, { readonly definition: ServiceDefinition; readonly runs: boolean }>();
  const claim = (definition: ServiceDefinition, runs: boolean): void => {
    for (const { host, protocol } of definition.service.ports) {
      const port = `port ${addressOf(definition)}:${host} (${protocol})`;
      const owner = owners.get(port);
      if (owner && !runs) throw new MonocoreError('StartFailed', describe(port, definition, owner));
      owners.set(port, { definition, runs });
    }
  };
  for (const definition of running) claim(definition, true);
  for (const definition of starting) claim(definition, false);
}

function describe(
  port: string,
  wanting: ServiceDefinition,
  { definition, runs }: { readonly definition: ServiceDefinition; readonly runs: boolean },
): string {
  const { name } = definition.service;
  if (runs) {
    const remedy = `stop ${name} or choose another host port`;
    return `${port} of ${nameOf(wanting)} is taken by ${nameOf(definition)}, which runs; ${remedy}`;
  }
  if (name === wanting.service.name) return `${port} is forwarded twice by ${nameOf(wanting)}; leave one of them out`;
  return `${port} is wanted by ${nameOf(definition)} and ${nameOf(wanting)}; choose another host port for one of them`;
}
