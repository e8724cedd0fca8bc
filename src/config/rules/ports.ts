/** Rules on ports of the host. */
import { capabilitiesOf } from '../../protocol/isolation.ts';
import type { ParsedService } from '../keys.ts';
import type { Path } from '../languages/positions.ts';
import { formatPath, type PathProblem, valueProblem } from '../problems.ts';
import { type PortRange, portOf } from '../schema/ports.ts';

/** Checks ports: one for each replica, and each forwarded once. Pure. */
export function checkPorts(services: readonly ParsedService[]): PathProblem[] {
  return [...services.flatMap(findMiscounts), ...findRepeatedPorts(services)];
}

function findMiscounts(service: ParsedService): PathProblem[] {
  const { table, values } = service;
  // A faulty number of replicas is a problem already.
  if (Object.hasOwn(table, 'replicas') && values.replicas === undefined) return [];
  const count = values.replicas ?? 1;
  return eachRange(service).flatMap(({ path, range }) => {
    if (range.count === count) return [];
    const ports = range.count === 1 ? '1 host port' : `${range.count} host ports`;
    const services = count === 1 ? 'one service' : `${count} replicas`;
    return [valueProblem(path, `has ${ports} for ${services}`, suggestion(range, count))];
  });
}

function suggestion({ first, count: ports, guest, protocol }: PortRange, count: number): string {
  const suffix = protocol === 'udp' ? '/udp' : '';
  if (count === 1) return `"${first}:${guest}${suffix}", or replicas = ${ports}`;
  return `a range of ${count} such as "${first}-${first + count - 1}:${guest}${suffix}"`;
}

/** Host ports that are forwarded twice. Guests of a group share its address; those without a group share 127.0.0.1. */
function findRepeatedPorts(services: readonly ParsedService[]): PathProblem[] {
  const owners = new Map<string, Path>();
  const problems: PathProblem[] = [];
  for (const service of services) {
    const { group, isolation, replicas = 1 } = service.values;
    if (group === undefined || isolation === undefined || !capabilitiesOf(isolation).ports) continue;
    for (const { path, range } of eachRange(service)) {
      if (range.count !== replicas) continue;
      const ports = Array.from({ length: range.count }, (_, replica) => portOf(range, replica));
      const keyOf = (host: number) => `${host}/${range.protocol} of ${group ?? '127.0.0.1'}`;
      const taken = ports.find(({ host }) => owners.has(keyOf(host)));
      for (const { host } of ports) if (!owners.has(keyOf(host))) owners.set(keyOf(host), path);
      if (taken === undefined) continue;
      const name = range.protocol === 'tcp' ? String(taken.host) : `${taken.host}/${range.protocol}`;
      const owner = formatPath(owners.get(keyOf(taken.host))!);
      problems.push(valueProblem(path, `host port ${name} is already taken by ${owner}`));
    }
  }
  return problems;
}

function eachRange({ path, values }: ParsedService): { path: Path; range: PortRange }[] {
  const ports = (values.ports ?? []).map((range, index) => ({ path: [...path, 'ports', index], range }));
  return values.port === undefined ? ports : [{ path: [...path, 'port'], range: values.port }, ...ports];
}
