/** Describes differences between two definitions of a service in terms of config keys. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { SERVICE_KEYS } from '../config/keys.ts';
import { type AnyKey, type KeyTable, printScalar, storedKeys, storedValue } from '../config/schema/types.ts';
import { memberAddress } from '../protocol/network.ts';
import { membershipOf, type ServiceDefinition } from '../supervisor/status.ts';

/** Longest list of names; of a longer one only the number is shown. */
const MAX_NAMES = 5;

/** True if both definitions describe the same process; the project does not matter. */
export function isSameDefinition(one: ServiceDefinition, other: ServiceDefinition): boolean {
  const membership = membershipOf(one);
  return isDeepStrictEqual({ ...one, ...membership }, { ...other, ...membership });
}

/**
 * Describes every difference in a phrase: `ram changed from 128MiB to 256MiB`, `variables changed: A, B`. Values of
 * variables, arguments and probes are omitted. Empty only if the definitions are equal.
 */
export function describeDifferences(from: ServiceDefinition, to: ServiceDefinition): string[] {
  if (isSameDefinition(from, to)) return [];
  const phrases: string[] = [];
  const { group, replica_of } = to.service;
  if (from.service.replica_of !== replica_of) {
    phrases.push(
      replica_of === null ? `no longer a replica of ${from.service.replica_of}` : `now a replica of ${replica_of}`,
    );
  }
  phrases.push(...compareTables(SERVICE_KEYS, '', from.service, to.service));
  // A new group explains its consequences; they need no phrase.
  if (from.service.group === group && group !== null) {
    if (from.group?.local_only !== to.group?.local_only) {
      phrases.push(changed(`local_only of group ${group}`, from.group?.local_only, to.group?.local_only));
    }
    if (from.groupIp !== to.groupIp) phrases.push(changed(`address of group ${group}`, from.groupIp, to.groupIp));
  }
  if (from.kernel !== to.kernel)
    phrases.push(changed('kernel', from.kernel ?? 'the default', to.kernel ?? 'the default'));
  if (phrases.length > 0) return phrases;
  // The index follows from other keys; it is mentioned only if none of them differs.
  const addressOf = ({ groupIndex }: ServiceDefinition) => (groupIndex == null ? null : memberAddress(groupIndex));
  return [changed('address in the network of its group', addressOf(from), addressOf(to))];
}

/** Differences of the fields that the keys of a table fill; if keys share a field, the key that sets it is named. */
function compareTables(keys: KeyTable, prefix: string, from: object, to: object): string[] {
  const stored = storedKeys(keys);
  return stored.flatMap(([name, key, field]) => {
    const [before, after] = [storedValue(from, field), storedValue(to, field)];
    if (isDeepStrictEqual(before, after)) return [];
    const rivals = stored.filter(([, , other]) => other === field);
    if (rivals[0]![0] !== name) return [];
    if (rivals.length === 1) return compareKey(key, `${prefix}${name}`, before, after);
    const [one, other] = [before, after].map(
      (value) => rivals.find(([, { type }]) => print(type, value) !== null)?.[0],
    );
    return [one === other ? `${prefix}${one} changed` : changed(prefix.replace(/\.$/, ''), one, other)];
  });
}

function compareKey({ type, difference, unset = 'none' }: AnyKey, label: string, from: unknown, to: unknown): string[] {
  if (difference === 'hidden') return [`${label} changed`];
  if (difference !== undefined)
    return compareEntries(difference.noun, byName(from, difference.by), byName(to, difference.by));
  if (type.kind === 'table') {
    if (from === null || to === null) return [`${label} ${from === null ? 'added' : 'removed'}`];
    return compareTables(type.keys, `${label}.`, from as object, to as object);
  }
  return [changed(label, print(type, from) ?? unset, print(type, to) ?? unset)];
}

function print(type: AnyKey['type'], stored: unknown): unknown {
  const printed = type.kind === 'scalar' ? printScalar(type, stored) : stored;
  return Array.isArray(printed) ? printed.join(', ') || null : printed;
}

function changed(label: string, from: unknown, to: unknown): string {
  return `${label} changed from ${from ?? 'none'} to ${to ?? 'none'}`;
}

type Entries = Readonly<Record<string, unknown>>;

/** Names of the entries that differ. */
function compareEntries(noun: string, from: Entries, to: Entries): string[] {
  const [before, after] = [Object.keys(from), Object.keys(to)];
  const changes = {
    changed: after.filter((name) => Object.hasOwn(from, name) && !isDeepStrictEqual(from[name], to[name])),
    added: after.filter((name) => !Object.hasOwn(from, name)),
    removed: before.filter((name) => !Object.hasOwn(to, name)),
  };
  const phrases = Object.entries(changes).flatMap(([change, names]) => list(`${noun} ${change}`, names));
  return phrases.length > 0 ? phrases : [`order of ${noun} changed`];
}

function list(label: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const rest = names.length - MAX_NAMES;
  return [`${label}: ${names.slice(0, MAX_NAMES).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`];
}

/**
 * Elements keyed by one of their fields. A repeated key also counts its position: a service may depend on another one
 * twice.
 */
function byName(values: unknown, by: string | undefined): Entries {
  if (by === undefined) return values as Entries;
  const entries = new Map<string, unknown>();
  for (const value of values as Record<string, string>[]) {
    let name = value[by]!;
    for (let count = 2; entries.has(name); count += 1) name = `${value[by]} (${count})`;
    entries.set(name, value);
  }
  return Object.fromEntries(entries);
}
