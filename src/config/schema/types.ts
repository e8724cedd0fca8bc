/** Types for the table of keys, `keys.ts`, and for the values read with it. */
import { availableParallelism, totalmem } from 'node:os';
import type { JsonSchema } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import type { Capabilities } from '../../protocol/isolation.ts';
import type { Path, Table } from '../languages/document.ts';

/** Upper limits of what a service may request. */
export interface HostLimits {
  readonly cpus: number;
  readonly ramMib: number;
}

/** Limits of this host, determined at each call. */
export function hostLimits(): HostLimits {
  return { cpus: availableParallelism(), ramMib: Math.floor(totalmem() / 2 ** 20) };
}

/** Context that the meaning of a config depends on, besides its text. */
export interface ParseContext {
  /** Absolute folder of the config, the base of relative paths in it. */
  readonly folder: string;
  readonly host: HostLimits;
  /** Looks up variables, for references in image names. */
  readonly lookup: (name: string) => string | undefined;
}

/** Value that valibot validates as a whole. */
export interface ScalarType<T> {
  readonly kind: 'scalar';
  readonly schema: (context: ParseContext) => v.GenericSchema<unknown, T>;
  /** Description of a valid value for messages; null asks for one that fits any host. */
  readonly expected: (context: ParseContext | null) => string;
  /** Converts the protocol's value back to the form in the config; not needed if they are the same. */
  readonly print?: (stored: never) => unknown;
  /** Word in the config that means null in the protocol; without it the key is omitted. */
  readonly nullWord?: string;
  /** Unit of the value in the protocol, if the name of its field ends with it. */
  readonly unit?: 'bytes' | 'mib' | 'ms';
  /** JSON Schema, where valibot's schema cannot describe the input. */
  readonly json?: JsonSchema;
}

export interface TableType<K extends KeyTable, Kind = 'table'> {
  readonly kind: Kind;
  /** `[service.log]`, or `[[service]]` for an array of tables. */
  readonly header: string;
  readonly keys: K;
}

export type TablesType<K extends KeyTable> = TableType<K, 'tables'>;

/** Array whose elements are tables, or strings as a short form of tables. */
export interface EntriesType<K extends KeyTable> extends TableType<K, 'entries'> {
  readonly expected: string;
  /** Expands an element that is a string; returns its values or the problem with it. */
  readonly expand: (text: string) => Values<K> | { readonly problem: string };
}

export type ValueType = ScalarType<unknown> | TableType<KeyTable> | TablesType<KeyTable> | EntriesType<KeyTable>;

/**
 * Effect of a change at the next start, for the manual; `planStart` of the orchestrator decides it. `restart`: running
 * services that differ are restarted. `live`: the change applies without a restart. `services`: services are added or
 * dropped.
 */
export type Change = 'restart' | 'live' | 'services';

interface KeyOptions<Field> {
  /**
   * Protocol field that holds the value, `restart.when` for a nested one; by default the name of the key followed by
   * the unit of its value, `max_age_ms`. Null for a key that is merged into others.
   */
  readonly field?: Field;
  /** Set if the key is allowed in `[defaults]`. */
  readonly inherited?: true;
  /** Alternative name of a scalar key. */
  readonly alias?: string;
  /** Names used by other tools, for suggestions. */
  readonly otherNames?: readonly string[];
  /** Capability that the isolation must have; otherwise the key is rejected. */
  readonly needs?: keyof Capabilities;
  /** Condition without which the key has no effect: a key that restarts the service, or a health check. */
  readonly onlyWith?: 'restarts' | 'healthcheck';
  /** Effect of a change; `restart` by default. */
  readonly change?: Change;
  /** Meaning of leaving the key out, if it has no default value: `no limit`. */
  readonly unset?: string;
  /**
   * Description of a difference in a plan; by default both values. `hidden` shows neither value, because they may
   * contain passwords. Otherwise, the names of the entries that differ: keys of an object, or a field of each element.
   */
  readonly difference?: 'hidden' | { readonly noun: string; readonly by?: string };
}

export interface Key<T extends ValueType, Presence, Field = string | null> extends KeyOptions<Field> {
  /** Description for the manual: a noun phrase on one line, without a full stop. */
  readonly summary: string;
  readonly type: T;
  readonly presence: Presence;
  /** Default value of a scalar key, as the schema returns it. */
  readonly default?: unknown;
}

type Presence = 'required' | 'optional' | 'default';
export type AnyKey = Key<ValueType, Presence>;

/** Rows for a table of the config, by key name. */
export type KeyTable = Readonly<Record<string, AnyKey>>;

/** A {@link KeyTable} whose values become fields of a `Stored`. */
export type KeyTableOf<Stored> = Readonly<Record<string, Key<ValueType, Presence, FieldPath<Stored> | null>>>;

type FieldPath<Stored> = {
  [Name in keyof Stored & string]: Stored[Name] extends readonly unknown[] | null
    ? Name
    : NonNullable<Stored[Name]> extends object
      ? Name | `${Name}.${keyof NonNullable<Stored[Name]> & string}`
      : Name;
}[keyof Stored & string];

type Output<T> =
  T extends ScalarType<infer V>
    ? V
    : T extends TableType<infer K>
      ? ParsedTable<Values<K>>
      : T extends TablesType<infer K>
        ? readonly ParsedTable<Values<K>>[]
        : T extends EntriesType<infer K>
          ? readonly Values<K>[]
          : never;

/** Values of a table's keys when all are valid. */
export type Values<K extends KeyTable> = {
  readonly [Name in keyof K]: Output<K[Name]['type']> | (K[Name]['presence'] extends 'optional' ? undefined : never);
};

/** Table of the config after parsing. */
export interface ParsedTable<V> {
  readonly path: Path;
  /** The table as written, invalid keys included; aliases are replaced by the keys that they stand for. */
  readonly table: Table;
  /** Valid keys; if there is no problem, all of them, defaults included. */
  readonly values: Partial<V>;
  /** Keys that a service inherits from `[defaults]`, invalid ones included. */
  readonly inherited?: ReadonlySet<string>;
}

/** True if a table has a key, valid or not: written in it or inherited from `[defaults]`. */
export function hasKey({ table, inherited }: ParsedTable<unknown>, key: string): boolean {
  return Object.hasOwn(table, key) || inherited?.has(key) === true;
}

type Field = string | null;

function row<P extends Presence, Type extends ValueType = ValueType>(presence: P) {
  return <T extends Type, const F extends Field = never>(
    summary: string,
    type: T,
    options: KeyOptions<F> = {},
  ): Key<T, P, F> => ({ ...options, summary, type, presence });
}

export const required = row('required');
export const optional = row('optional');
/** Table or array of tables. If it is left out, each key of a table has its default, and an array is empty. */
export const nested = row<'default', Exclude<ValueType, ScalarType<unknown>>>('default');

/** Scalar key with a default value. */
export function defaulted<V, const F extends Field = never>(
  summary: string,
  type: ScalarType<V>,
  value: NoInfer<V>,
  options: KeyOptions<F> = {},
): Key<ScalarType<V>, 'default', F> {
  return { ...options, summary, type, presence: 'default', default: value };
}

/** Keys of a table that fill protocol fields, with those fields. */
export function storedKeys(keys: KeyTable): readonly (readonly [name: string, key: AnyKey, field: string])[] {
  return Object.entries(keys).flatMap(([name, key]) => {
    const unit = key.type.kind === 'scalar' ? key.type.unit : undefined;
    const { field = unit === undefined ? name : `${name}_${unit}` } = key;
    return field === null ? [] : [[name, key, field] as const];
  });
}

/** Value of a field in a protocol object. */
export function storedValue(stored: object, field: string): unknown {
  return field
    .split('.')
    .reduce<unknown>((value, name) => (value as Record<string, unknown> | null)?.[name] ?? null, stored);
}

/** Protocol value in the form of a config; null if the key should be omitted. */
export function printScalar({ print, nullWord }: ScalarType<unknown>, stored: unknown): unknown {
  if (stored === null) return nullWord ?? null;
  return print === undefined ? stored : print(stored as never);
}
