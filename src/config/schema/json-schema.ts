/** The config as JSON Schema, for editors that complete keys and underline what is wrong while it is typed. */
import { type JsonSchema, toJsonSchema } from '@valibot/to-json-schema';
import * as v from 'valibot';
import {
  documentEntries,
  type Entries,
  groupEntries,
  groupEnvEntries,
  type ParseContext,
  serviceEntries,
} from './config.ts';
import { defaultEntries } from './defaults.ts';
import { healthCheckEntries } from './healthcheck.ts';
import { imageEntries } from './images.ts';
import { homeLogEntries, logEntries } from './log.ts';
import { dependencyEntries } from './supervision.ts';
import { ALIASES } from './table.ts';
import { groupMountEntries, groupVolumeEntries } from './volumes.ts';

/** The schema is kept beside the config, which moves from host to host: limits of this one would be wrong on another. */
const ANY_HOST: ParseContext = { folder: '/', host: { cpus: 1024, ramMib: 2 ** 24 } };

const TEXTS: JsonSchema = { type: 'array', items: { type: 'string' } };
const TEXT_OR_TEXTS: JsonSchema = { anyOf: [{ type: 'string' }, TEXTS] };
const PAIRS: JsonSchema = {
  anyOf: [
    { type: 'array', items: { type: 'string', pattern: '=' } },
    { type: 'object', additionalProperties: { type: 'string' } },
  ],
};

/** The schema, draft 7, of a config in TOML, YAML or JSON. Rules between keys are not in it. Pure. */
export function configJsonSchema(): JsonSchema {
  const log = table(logEntries());
  const service = table(serviceEntries(ANY_HOST), {
    envs: PAIRS,
    env_file: TEXT_OR_TEXTS,
    secrets: PAIRS,
    group_volumes: list({ anyOf: [{ type: 'string' }, table(groupMountEntries())] }),
    depends_on: list({ anyOf: [{ type: 'string' }, table(dependencyEntries())] }),
    healthcheck: table(healthCheckEntries(), { exec: TEXT_OR_TEXTS }),
    log,
  });
  const group = table(groupEntries(), {
    envs: PAIRS,
    env: list(table(groupEnvEntries(), { envs: PAIRS })),
    volume: list(table(groupVolumeEntries())),
  });
  const defaults = table(defaultEntries(ANY_HOST), { envs: PAIRS, env_file: TEXT_OR_TEXTS, log });
  const document = table(documentEntries(ANY_HOST), {
    defaults,
    logs: table(homeLogEntries()),
    images: table(imageEntries()),
    service: list(service),
    group: list(group),
  });
  return { $schema: 'http://json-schema.org/draft-07/schema#', title: 'monocore', ...document };
}

function list(items: JsonSchema): JsonSchema {
  return { type: 'array', items };
}

/** A table with these keys and no others; `inner` stands for keys that hold what valibot has no words for. */
function table(entries: Entries, inner: Readonly<Record<string, JsonSchema>> = {}): JsonSchema {
  const properties = Object.entries(entries).flatMap(([key, schema]) => {
    const description = v.getDescription(schema);
    const own = { ...(inner[key] ?? convert(schema)), ...(description === undefined ? {} : { description }) };
    const alias = ALIASES[key];
    return alias === undefined
      ? [[key, own]]
      : [
          [key, own],
          [alias, own],
        ];
  });
  return {
    type: 'object',
    properties: Object.fromEntries(properties),
    required: Object.keys(entries).filter((key) => entries[key]?.type !== 'optional'),
    additionalProperties: false,
  };
}

/** Of what is checked by code, and of what is made of a value, nothing is said: the schema is the looser one then. */
function convert(schema: v.GenericSchema): JsonSchema {
  const { $schema: _, ...converted } = toJsonSchema(schema, { typeMode: 'input', errorMode: 'ignore' });
  return converted;
}
