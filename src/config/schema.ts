/**
 * The keys of each table of a config. The description of a key is what the reader is told was expected there; a key
 * without one is known only to be refused. A default stands for a key that is left out. The names are monocore's own.
 */
import * as v from 'valibot';
import { DEFAULT_CPUS, DEFAULT_RAM_MIB, IsolationSchema } from '../protocol/service.ts';
import type { Dependency } from '../protocol/supervision.ts';
import { Envs } from './envs.ts';
import * as field from './fields.ts';
import type { HealthCheckValues } from './health-schema.ts';
import type { HostLimits } from './host.ts';
import type { LogValues } from './log-schema.ts';
import { supervisionEntries } from './supervision-schema.ts';

/** What the meaning of a config depends on, besides its text. */
export interface Surroundings {
  /** Folder of the config, absolute: relative paths in it start there. */
  readonly folder: string;
  readonly host: HostLimits;
}

/** The keys of a table with the schema of each. */
export type Entries = Readonly<Record<string, v.GenericSchema>>;

/** What the keys of a table hold once each is valid. */
export type Values<E extends Entries> = { readonly [Key in keyof E]: v.InferOutput<E[Key]> };

const NAME = 'up to 63 of a-z, 0-9, "-" and "_", the first and the last a letter or a digit';
const ENVS = 'an array such as ["NAME=value"], or a table of strings';
const PORT = '"host:guest" such as "8080:80", or one port for both, from 1 to 65535';

export function documentEntries({ folder }: Surroundings) {
  const tables = (header: string) =>
    v.pipe(v.optional(v.array(v.unknown(), field.mustBe('an array of tables')), []), v.description(header));
  return {
    kernel: v.pipe(v.optional(field.hostPath(folder)), v.description('the path of a kernel image')),
    service: tables('[[service]]'),
    group: tables('[[group]]'),
    logs: v.pipe(v.optional(field.SubTable), v.description('a table [logs]')),
  };
}

export function groupEntries() {
  return {
    name: v.pipe(field.Name, v.description(NAME)),
    envs: v.pipe(
      v.optional(Envs, () => []),
      v.description(ENVS),
    ),
    local_only: v.pipe(v.optional(v.boolean(field.mustBe('a boolean')), true), v.description('true or false')),
  };
}

export function serviceEntries({ folder, host }: Surroundings) {
  return {
    name: v.pipe(field.ServiceName, v.description(NAME)),
    group: v.pipe(v.optional(v.nullable(field.Text), null), v.description('the name of a [[group]]')),
    isolation: v.pipe(
      v.optional(v.picklist(IsolationSchema.options, 'is not a kind of isolation'), 'vm'),
      v.description('"vm" or "none"'),
    ),
    rootfs: v.pipe(v.optional(field.hostPath(folder)), v.description('the path of a directory')),
    base: v.optional(
      field.unsupported(
        'images are not supported by this version: use rootfs with a directory, or leave both out for the built-in busybox root',
      ),
    ),
    command: v.pipe(field.Command, v.description('a program such as "/bin/sh"')),
    args: v.pipe(
      v.optional(v.array(field.Argument, field.mustBe('an array')), []),
      v.description('an array of strings'),
    ),
    envs: v.pipe(
      v.optional(Envs, () => []),
      v.description(ENVS),
    ),
    workdir: v.pipe(v.optional(field.GuestPath, '/'), v.description('an absolute path such as "/srv"')),
    cpus: v.pipe(v.optional(field.cpuCount(host), DEFAULT_CPUS), v.description(`an integer from 1 to ${host.cpus}`)),
    ram: v.pipe(
      v.optional(field.ramMib(host), DEFAULT_RAM_MIB),
      v.description(`MiB or a size such as "256MiB", from ${field.MIN_RAM_MIB} to ${host.ramMib} MiB`),
    ),
    port: v.pipe(v.optional(field.PortMapping), v.description(PORT)),
    ports: v.pipe(
      v.optional(v.array(field.PortMapping, field.mustBe('an array')), []),
      v.description(`an array of ${PORT}`),
    ),
    ...supervisionEntries(host),
    log: v.pipe(v.optional(field.SubTable), v.description('a table [service.log]')),
  };
}

export type GroupValues = Values<ReturnType<typeof groupEntries>>;
/** With the keys of the tables in it in place of these as written. */
export type ServiceValues = Omit<Values<ReturnType<typeof serviceEntries>>, 'log' | 'healthcheck' | 'depends_on'> & {
  readonly log: LogValues;
  readonly depends_on: readonly Dependency[];
  readonly healthcheck: HealthCheckValues | undefined;
};
