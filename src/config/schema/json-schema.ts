/** JSON Schema of the config, for editors that complete keys and underline mistakes. */
import { type JsonSchema, toJsonSchema } from '@valibot/to-json-schema';
import { DOCUMENT_KEYS } from '../keys.ts';
import { type AnyKey, type KeyTable, type ParseContext, printScalar, type ValueType } from './types.ts';

/**
 * Limits for the schema. It is stored beside the config, which may move to another host where the limits of this one
 * would be wrong.
 */
const ANY_HOST: ParseContext = { folder: '/', host: { cpus: 1024, ramMib: 2 ** 24 }, lookup: () => undefined };

/** Schema (draft 7) of a config in TOML, YAML or JSON. It does not contain rules between keys. Pure. */
export function configJsonSchema(): JsonSchema {
  return { $schema: 'http://json-schema.org/draft-07/schema#', title: 'monocore', ...tableSchema(DOCUMENT_KEYS) };
}

function tableSchema(keys: KeyTable): JsonSchema {
  const properties = Object.entries(keys).flatMap(([name, key]) => {
    const property = keySchema(key);
    return [name, ...(key.alias === undefined ? [] : [key.alias])].map((spelling) => [spelling, property]);
  });
  return {
    type: 'object',
    properties: Object.fromEntries(properties),
    required: Object.keys(keys).filter((name) => keys[name]?.presence === 'required'),
    additionalProperties: false,
  };
}

function keySchema({ type, summary, default: value }: AnyKey): JsonSchema {
  const printed = type.kind === 'scalar' && value !== undefined ? printScalar(type, value) : null;
  return {
    ...typeSchema(type),
    description: type.kind === 'scalar' ? `${summary}: ${type.expected(null)}` : summary,
    ...(printed === null ? {} : { default: printed as JsonSchema['default'] & {} }),
  };
}

function typeSchema(type: ValueType): JsonSchema {
  switch (type.kind) {
    case 'table':
      return tableSchema(type.keys);
    case 'tables':
      return { type: 'array', items: tableSchema(type.keys) };
    case 'entries':
      return { type: 'array', items: { anyOf: [{ type: 'string' }, tableSchema(type.keys)] } };
    case 'scalar': {
      if (type.json !== undefined) return type.json;
      // Checks and transformations written in code cannot be expressed: the schema is more permissive there.
      const { $schema: _, ...converted } = toJsonSchema(type.schema(ANY_HOST), {
        typeMode: 'input',
        errorMode: 'ignore',
      });
      return converted;
    }
  }
}
