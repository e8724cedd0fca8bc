/**
 * Prints a config with all defaults filled in. Reading the result yields the same config, except that replicas become
 * separate services, which can share a volume only within a group.
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

/** Text of a config, with relative paths made absolute. Pure. */
export function writeConfig(config: Config, language: Language): string {
  const document = toTable(DOCUMENT_KEYS, config);
  if (language === 'json') return `${toPrintableJson(document, 2)}\n`;
  return language === 'yaml' ? stringifyYaml(document, { lineWidth: 0 }) : `${stringifyToml(document)}\n`;
}

/** Omits keys that are null, because TOML has no null. */
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

/** Parts of variable names whose values are usually secret. */
const SECRET_NAME = /PASS|PWD|SECRET|TOKEN|KEY|CREDENTIAL|AUTH|PRIVATE|SALT|COOKIE|DSN/i;
/** User name and password in a URL. */
const CREDENTIALS = /:\/\/[^/\s@]*:[^/\s@]+@/;

export const MASK = '********';

/**
 * Masks the values of variables that look secret: by their name, because the value is a URL with a password, or because
 * a file sets them. Files in `secrets` need no mask, as a config holds only their paths. Pure.
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
