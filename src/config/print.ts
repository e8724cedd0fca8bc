/**
 * A config as a document with everything filled in. Read again it is the same config; only replicas are services of their
 * own then, and without a group may share no volume.
 */
import { stringify as stringifyToml } from 'smol-toml';
import { stringify as stringifyYaml } from 'yaml';
import { toPrintableJson } from '../lib/control-characters.ts';
import { capabilitiesOf } from '../protocol/isolation.ts';
import type { Config, Service } from '../protocol/service.ts';
import { DOCUMENT_KEYS } from './keys.ts';
import { type AnyKey, type KeyTable, printScalar, storedKeys, storedValue, type ValueType } from './schema/types.ts';

export const LANGUAGES = ['toml', 'yaml', 'json'] as const;
export type Language = (typeof LANGUAGES)[number];

type Document = Readonly<Record<string, unknown>>;

/** The text of a config; relative paths have become absolute. Pure. */
export function writeConfig(config: Config, language: Language): string {
  const document = toTable(DOCUMENT_KEYS, config);
  if (language === 'json') return `${toPrintableJson(document, 2)}\n`;
  return language === 'yaml' ? stringifyYaml(document, { lineWidth: 0 }) : `${stringifyToml(document)}\n`;
}

/** Without keys that are null: TOML has no word for nothing. */
function toTable(keys: KeyTable, stored: object): Document {
  const service = 'isolation' in stored ? (stored as Service) : null;
  const entries = storedKeys(keys)
    .filter(([, key]) => service === null || hasEffect(key, service))
    .map(([name, { type }, field]) => [name, toValue(type, storedValue(stored, field))] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== null));
}

function toValue(type: ValueType, stored: unknown): unknown {
  if (type.kind === 'scalar') return printScalar(type, stored);
  if (stored === null) return null;
  if (Array.isArray(stored)) return stored.map((one) => toTable(type.keys, one));
  const table = toTable(type.keys, stored as object);
  return Object.keys(table).length === 0 ? null : table;
}

function hasEffect({ needs, onlyWith }: AnyKey, { isolation, restart, on_unhealthy }: Service): boolean {
  const isRestarted = restart.when !== 'no' || on_unhealthy === 'restart' || restart.max_memory_bytes !== null;
  if (onlyWith === 'restarts' && !isRestarted) return false;
  return needs === undefined || capabilitiesOf(isolation)[needs];
}

/** Parts of names of variables whose values usually are secrets. */
const SECRET_NAME = /PASS|PWD|SECRET|TOKEN|KEY|CREDENTIAL|AUTH|PRIVATE|SALT|COOKIE|DSN/i;
/** A user's name and password in an address. */
const CREDENTIALS = /:\/\/[^/\s@]*:[^/\s@]+@/;

export const MASK = '********';

/**
 * Masks the values of variables that look like secrets: by their name, by a password in an address, or because a file sets
 * them. Secrets proper are files, of which a config has only the path. Pure.
 */
export function maskVariables(config: Config, fileNames: ReadonlySet<string>): Config {
  const isSecret = (name: string, value: string) =>
    fileNames.has(name) || SECRET_NAME.test(name) || CREDENTIALS.test(value);
  const services = config.services.map((service) => {
    const envs = Object.entries(service.envs).map(([name, value]) => [name, isSecret(name, value) ? MASK : value]);
    return { ...service, envs: Object.fromEntries(envs) as Record<string, string> };
  });
  return { ...config, services };
}
