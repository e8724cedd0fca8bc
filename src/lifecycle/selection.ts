/** Which services a command is about. */
import { MonocoreError } from '../errors.ts';
import type { Selection } from '../protocol/control.ts';

/**
 * The services that a command is about: the named ones, else those of the group, else all.
 *
 * @param owner who has the services, for the message
 * @throws MonocoreError `ServiceUnknown` for a name or group that `owner` does not have
 */
export function select<T extends { readonly name: string; readonly group: string | null }>(
  services: readonly T[],
  { names, group }: Selection,
  owner: string,
): T[] {
  const unknown = names.filter((name) => !services.some((service) => service.name === name));
  if (unknown.length > 0) {
    throw new MonocoreError('ServiceUnknown', `${owner} knows no service ${unknown.join(', ')}`, { details: unknown });
  }
  if (group !== null && !services.some((service) => service.group === group)) {
    throw new MonocoreError('ServiceUnknown', `${owner} knows no service in group ${group}`, { details: [group] });
  }
  return services.filter(
    (service) => (names.length === 0 || names.includes(service.name)) && (group === null || service.group === group),
  );
}
