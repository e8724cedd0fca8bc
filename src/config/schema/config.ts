/**
 * The keys of each table of a config. The description of a key is what the reader is told was expected there; a key
 * without one is known only to be refused. A default stands for a key that is left out. The names are monocore's own.
 */
import { resolve } from 'node:path';
import * as v from 'valibot';
import { DEFAULT_CPUS, DEFAULT_RAM_MIB, IsolationSchema } from '../../protocol/service.ts';
import type { Dependency } from '../../protocol/supervision.ts';
import { quote } from '../problems.ts';
import { Envs } from './envs.ts';
import * as field from './fields.ts';
import type { HealthCheckValues } from './healthcheck.ts';
import type { HostLimits } from './host-limits.ts';
import type { LogValues } from './log.ts';
import type { ParsedTable } from './outline.ts';
import { pairs } from './pairs.ts';
import { PORT, PortMapping } from './ports.ts';
import { supervisionEntries } from './supervision.ts';
import {
  GROUP_MOUNT,
  GroupMount,
  type GroupMountValues,
  type GroupVolumeValues,
  VOLUME,
  VolumeText,
} from './volumes.ts';

/** What the meaning of a config depends on, besides its text. */
export interface ParseContext {
  /** Folder of the config, absolute: relative paths in it start there. */
  readonly folder: string;
  readonly host: HostLimits;
}

/** The keys of a table with the schema of each. */
export type Entries = Readonly<Record<string, v.GenericSchema>>;

/** What the keys of a table hold once each is valid. */
export type Values<E extends Entries> = { readonly [Key in keyof E]: v.InferOutput<E[Key]> };

const NAME = 'up to 63 of a-z, 0-9, "-" and "_", the first and the last a letter or a digit';
/** Far more than a host can run, and few enough to be written down one by one. */
const MAX_REPLICAS = 256;
const ENVS = 'an array such as ["NAME=value"], or a table of strings';

/** A name that is no path, for `/run/secrets/<name>`; the length is NAME_MAX of Linux. */
const SECRET_NAME = /^(?!\.{1,2}$)[\w.-]{1,255}$/;

const Secrets = pairs((name, path) => {
  if (!SECRET_NAME.test(name)) return `${quote(name)} is not a valid name of a secret`;
  if (path === '') return 'has no path behind the "="';
  return /\p{Cc}/u.test(path) ? 'must not contain control characters' : null;
});

/** Tables that are read one by one. */
function tables(header: string) {
  return v.pipe(v.optional(v.array(v.unknown(), field.mustBe('an array of tables')), []), v.description(header));
}

export function documentEntries({ folder }: ParseContext) {
  return {
    // Editors find the schema of a JSON file by it.
    $schema: v.pipe(v.optional(field.Text), v.description('the address of a JSON schema')),
    kernel: v.pipe(v.optional(field.hostPath(folder)), v.description('the path of a kernel image')),
    service: tables('[[service]]'),
    group: tables('[[group]]'),
    defaults: v.pipe(v.optional(field.SubTable), v.description('a table [defaults]')),
    logs: v.pipe(v.optional(field.SubTable), v.description('a table [logs]')),
    images: v.pipe(v.optional(field.SubTable), v.description('a table [images]')),
  };
}

export function groupEntries() {
  return {
    name: v.pipe(field.Name, v.description(NAME)),
    envs: v.pipe(
      v.optional(Envs, () => []),
      v.description(ENVS),
    ),
    env: tables('[[group.env]]'),
    volume: tables('[[group.volume]]'),
    local_only: v.pipe(v.optional(v.boolean(field.mustBe('a boolean')), true), v.description('true or false')),
  };
}

/** Keys of `[[group.env]]`. */
export function groupEnvEntries() {
  return {
    name: v.pipe(field.Name, v.description(NAME)),
    envs: v.pipe(Envs, v.description(ENVS)),
  };
}

export function serviceEntries({ folder, host }: ParseContext) {
  return {
    name: v.pipe(field.ServiceName, v.description(NAME)),
    replicas: v.pipe(
      v.optional(field.integer(1, MAX_REPLICAS)),
      v.description(`a number of services that are alike, from 1 to ${MAX_REPLICAS}`),
    ),
    profiles: v.pipe(
      v.optional(v.array(field.Name, field.mustBe('an array')), []),
      v.description('an array of names such as ["dev"]'),
    ),
    group: v.pipe(v.optional(v.nullable(field.Text), null), v.description('the name of a [[group]]')),
    isolation: v.pipe(
      v.optional(v.picklist(IsolationSchema.options, 'is not a kind of isolation'), 'vm'),
      v.description('"vm" or "none"'),
    ),
    rootfs: v.pipe(v.optional(field.hostPath(folder)), v.description('the path of a directory')),
    image: v.pipe(v.optional(field.ImageName), v.description('the name of an image such as "alpine:3.20"')),
    command: v.pipe(v.optional(field.Command), v.description('a program such as "/bin/sh"')),
    args: v.pipe(
      v.optional(v.array(field.Argument, field.mustBe('an array')), []),
      v.description('an array of strings'),
    ),
    envs: v.pipe(
      v.optional(Envs, () => []),
      v.description(ENVS),
    ),
    env_file: v.pipe(
      v.optional(envFiles(folder), () => []),
      v.description('the path of a file, or an array of paths'),
    ),
    group_envs: v.pipe(
      v.optional(v.array(field.Text, field.mustBe('an array')), []),
      v.description('an array of names of [[group.env]]'),
    ),
    volumes: v.pipe(
      v.optional(v.array(VolumeText, field.mustBe('an array')), []),
      v.description(`an array of ${VOLUME}`),
    ),
    group_volumes: v.pipe(v.optional(v.array(GroupMount, field.mustBe('an array')), []), v.description(GROUP_MOUNT)),
    secrets: v.pipe(
      v.pipe(
        v.optional(Secrets, () => []),
        v.transform((paths) => Object.entries(paths).map(([name, path]) => ({ name, path: resolve(folder, path) }))),
      ),
      v.description('an array such as ["db_password=/path"], or a table of paths'),
    ),
    workdir: v.pipe(v.optional(field.AbsolutePath), v.description('an absolute path such as "/srv"')),
    cpus: v.pipe(v.optional(field.cpuCount(host), DEFAULT_CPUS), v.description(`an integer from 1 to ${host.cpus}`)),
    ram: v.pipe(
      v.optional(field.ramMib(host), DEFAULT_RAM_MIB),
      v.description(`MiB or a size such as "256MiB", from ${field.MIN_RAM_MIB} to ${host.ramMib} MiB`),
    ),
    port: v.pipe(v.optional(PortMapping), v.description(PORT)),
    ports: v.pipe(v.optional(v.array(PortMapping, field.mustBe('an array')), []), v.description(`an array of ${PORT}`)),
    ...supervisionEntries(host),
    log: v.pipe(v.optional(field.SubTable), v.description('a table [service.log]')),
  };
}

/** One path or several, relative to `folder`; become absolute. */
function envFiles(folder: string) {
  const path = field.hostPath(folder);
  return v.lazy((input) =>
    typeof input === 'string'
      ? v.pipe(
          path,
          v.transform((file) => [file]),
        )
      : v.array(path, field.mustBe('a string or an array')),
  );
}

/** With the tables in it, in place of these as written, those of them that are tables. */
export type GroupValues = Omit<Values<ReturnType<typeof groupEntries>>, 'env' | 'volume'> & {
  readonly env: readonly ParsedTable<Values<ReturnType<typeof groupEnvEntries>>>[];
  readonly volume: readonly ParsedTable<GroupVolumeValues>[];
};

/** With the keys of the tables in it in place of these as written. */
export type ServiceValues = Omit<
  Values<ReturnType<typeof serviceEntries>>,
  'log' | 'healthcheck' | 'depends_on' | 'group_volumes'
> & {
  readonly log: LogValues;
  readonly group_volumes: readonly GroupMountValues[];
  /** The services that are named, which may be replicated. */
  readonly depends_on: readonly Dependency[];
  readonly healthcheck: HealthCheckValues | undefined;
};
