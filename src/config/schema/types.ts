/** Types of the table of keys, `keys.ts`, and of what is read by it. */
import { availableParallelism, totalmem } from 'node:os';
import type { JsonSchema } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import type { Capabilities } from '../../protocol/isolation.ts';
import type { Path, Table } from '../languages/document.ts';

/** Upper limits of what a service may ask for. */
export interface HostLimits {
  readonly cpus: number;
  readonly ramMib: number;
}

/** The limits of this host, asked anew at each call. */
export function hostLimits(): HostLimits {
  return { cpus: availableParallelism(), ramMib: Math.floor(totalmem() / 2 ** 20) };
}

/** Circumstances that the meaning of a config depends on, besides its text. */
export interface ParseContext {
  /** Folder of the config, absolute: relative paths in it start there. */
  readonly folder: string;
  readonly host: HostLimits;
  /** Values of variables, for references in names of images. */
  readonly lookup: (name: string) => string | undefined;
}

/** Value that valibot checks as a whole. */
export interface ScalarType<T> {
  readonly kind: 'scalar';
  readonly schema: (context: ParseContext) => v.GenericSchema<unknown, T>;
  /** Description of a valid value, as a problem tells it; with null for any host. */
  readonly expected: (context: ParseContext | null) => string;
  /** The config's form of the value that the protocol has; without it they are the same. */
  readonly print?: (stored: never) => unknown;
  /** The config's word for null in the protocol; without it the key is left out. */
  readonly nullWord?: string;
  /** Unit of the value in the protocol, where the name of its field ends with it. */
  readonly unit?: 'bytes' | 'mib' | 'ms';
  /** JSON Schema where valibot's schema has no words for the input. */
  readonly json?: JsonSchema;
}

export interface TableType<K extends KeyTable, Kind = 'table'> {
  readonly kind: Kind;
  /** `[service.log]`; `[[service]]` of an array of tables. */
  readonly header: string;
  readonly keys: K;
}

export type TablesType<K extends KeyTable> = TableType<K, 'tables'>;

/** Array whose elements are tables, or strings as a short form of them. */
export interface EntriesType<K extends KeyTable> extends TableType<K, 'entries'> {
  readonly expected: string;
  /** The values of an element that is a string, or the problem with it. */
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
   * Field of the protocol that has the value, `restart.when` for one in an object; when nothing is said, the key's own name
   * and the unit of its value, `max_age_ms`. Null for a key that is merged into others.
   */
  readonly field?: Field;
  /** May stand in `[defaults]`. */
  readonly inherited?: true;
  /** Another name of a scalar key. */
  readonly alias?: string;
  /** Names in other tools, for suggestions. */
  readonly otherNames?: readonly string[];
  /** Capability that the isolation must have; without it the key is refused. */
  readonly needs?: keyof Capabilities;
  /** Condition without which it has no effect: a key that restarts the service, or a health check. */
  readonly onlyWith?: 'restarts' | 'healthcheck';
  /** Effect of a change; `restart` when nothing is said. */
  readonly change?: Change;
  /** Meaning of the key left out, where it has no default value: `no limit`. */
  readonly unset?: string;
  /**
   * Description of a difference in a plan; by default both values. `hidden`: neither value, for they may contain
   * passwords. Otherwise the names of the entries that differ: keys of an object, or a field of each element.
   */
  readonly difference?: 'hidden' | { readonly noun: string; readonly by?: string };
}

export interface Key<T extends ValueType, Presence, Field = string | null> extends KeyOptions<Field> {
  /** Description for the manual: a noun phrase on one line, without full stop. */
  readonly summary: string;
  readonly type: T;
  readonly presence: Presence;
  /** Value of a scalar key that is left out, as the schema gives it. */
  readonly default?: unknown;
}

type Presence = 'required' | 'optional' | 'default';
export type AnyKey = Key<ValueType, Presence>;

/** Rows of a table of the config, by the names of its keys. */
export type KeyTable = Readonly<Record<string, AnyKey>>;

/** As {@link KeyTable}, for a table whose values become fields of a `Stored`. */
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

/** Values of the keys of a table once each is valid. */
export type Values<K extends KeyTable> = {
  readonly [Name in keyof K]: Output<K[Name]['type']> | (K[Name]['presence'] extends 'optional' ? undefined : never);
};

/** Table of the config as it was read. */
export interface ParsedTable<V> {
  readonly path: Path;
  /** As written, faulty keys included; aliases have become the keys that they stand for. */
  readonly table: Table;
  /** The keys that are valid; all of them, defaults included, when there is no problem. */
  readonly values: Partial<V>;
  /** Keys that a service has from `[defaults]`, faulty ones included. */
  readonly inherited?: ReadonlySet<string>;
}

/** True when a table has a key, valid or not: written in it, or inherited from `[defaults]`. */
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
/** A table or an array. Of a table that is left out, each key has its default; an array is empty then. */
export const nested = row<'default', Exclude<ValueType, ScalarType<unknown>>>('default');

/** A scalar key that has a value when it is left out. */
export function defaulted<V, const F extends Field = never>(
  summary: string,
  type: ScalarType<V>,
  value: NoInfer<V>,
  options: KeyOptions<F> = {},
): Key<ScalarType<V>, 'default', F> {
  return { ...options, summary, type, presence: 'default', default: value };
}

/** Keys of a table that fill fields of the protocol, with these fields. */
export function storedKeys(keys: KeyTable): readonly (readonly [name: string, key: AnyKey, field: string])[] {
  return Object.entries(keys).flatMap(([name, key]) => {
    const unit = key.type.kind === 'scalar' ? key.type.unit : undefined;
    const { field = unit === undefined ? name : `${name}_${unit}` } = key;
    return field === null ? [] : [[name, key, field] as const];
  });
}

/** The value of a field in an object of the protocol. */
export function storedValue(stored: object, field: string): unknown {
  return field
    .split('.')
    .reduce<unknown>((value, name) => (value as Record<string, unknown> | null)?.[name] ?? null, stored);
}

/** A value of the protocol as a config has it; null where the key is left out. */
export function printScalar({ print, nullWord }: ScalarType<unknown>, stored: unknown): unknown {
  if (stored === null) return nullWord ?? null;
  return print === undefined ? stored : print(stored as never);
}
