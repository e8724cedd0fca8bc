/** Every row of the table of keys has its place wherever keys are listed, and its effect wherever values are compared. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse as parseToml } from 'smol-toml';
import { DEFAULT_KEYS, DOCUMENT_KEYS, SERVICE_KEYS } from '../../src/config/keys.ts';
import { writeConfig } from '../../src/config/print.ts';
import { configReference } from '../../src/config/reference.ts';
import { configJsonSchema } from '../../src/config/schema/json-schema.ts';
import { type KeyTable, storedKeys } from '../../src/config/schema/types.ts';
import { describeDifferences } from '../../src/orchestrator/service-diff.ts';
import type { Service } from '../../src/protocol/service.ts';
import { parse, shortProblems } from '../helpers/config/harness.ts';

/** A config that has every key. */
const EXAMPLE = `
"$schema" = "schema.json"
name = "shop"
kernel = "/boot/vmlinuz"
logs = { keep_total = "1GiB" }
images = { insecure_registries = ["a.b"], max_image_size = "1GiB" }
[[group]]
name = "g"
address = "127.0.0.9"
envs = { A = "1" }
env = [{ name = "e", envs = ["B=1"] }]
volume = [{ name = "v", path = "/v" }]
local_only = false
[[service]]
name = "web"
replicas = 1
profiles = []
group = "g"
isolation = "vm"
image = "alpine"
command = "x"
args = ["a"]
envs = ["C=1"]
env_file = ["f"]
group_envs = ["e"]
workdir = "/w"
cpus = 2
ram = "256MiB"
port = "80"
ports = ["81"]
volumes = ["/h:/g"]
group_volumes = [{ name = "v", mount = ".:/v" }]
secrets = ["s=/s"]
depends_on = [{ service = "tcp", condition = "healthy" }]
stop_timeout = "1s"
stop_signal = "INT"
restart = "always"
max_restarts = 1
restart_reset = "1h"
max_memory = "1GiB"
on_unhealthy = "restart"
disk = "2GiB"
user = "nobody"
host_user = "nobody"
open_files = 100
cpu_shares = 2
[service.healthcheck]
http = ":80/"
interval = "1s"
timeout = "1s"
retries = 1
start_period = "1s"
[service.log]
format = "json"
stderr_level = "info"
max_size = "1MiB"
max_age = "1d"
keep = 1
keep_total = "2MiB"
keep_for = "1d"
compress = "gzip"
compress_delay = "1s"
max_line = "1KiB"
on_full = "drop"
${[
  ['tcp', 'tcp = 1'],
  ['exec', 'exec = "x"'],
  ['line', 'log_line = "x"'],
]
  .map(([name, probe]) => `[[service]]\nname = "${name}"\ncommand = "x"\nrootfs = "/r"\nhealthcheck = { ${probe} }\n`)
  .join('')}
[defaults]
env_file = []
`;

type Document = Readonly<Record<string, unknown>>;

/** Documents that a table stands for in a document, be it one or an array. */
function below(document: Document, name: string): Document[] {
  const value = document[name];
  return (Array.isArray(value) ? value : [value]).filter((one) => typeof one === 'object' && one !== null);
}

/** Names of the keys that no document of their table has, `service.log.keep`. */
function missing(
  keys: KeyTable,
  documents: readonly Document[],
  concerns: (key: KeyTable[string]) => boolean,
  path = '',
): string[] {
  return Object.entries(keys).flatMap(([name, key]) => {
    const at = `${path}${name}`;
    if (key.type.kind !== 'scalar' && key.type.keys === DEFAULT_KEYS) return [];
    const own = concerns(key) && !documents.some((document) => Object.hasOwn(document, name)) ? [at] : [];
    if (key.type.kind === 'scalar' || !concerns(key)) return own;
    return [
      ...own,
      ...missing(
        key.type.keys,
        documents.flatMap((document) => below(document, name)),
        concerns,
        `${at}.`,
      ),
    ];
  });
}

const config = parse(EXAMPLE);

test('the example has every key', () => {
  assert.deepEqual(
    missing(DOCUMENT_KEYS, [parseToml(EXAMPLE)], () => true),
    [],
  );
});

test('every key that has a field of the protocol is shown', () => {
  const shown = JSON.parse(writeConfig(config, 'json'));
  assert.deepEqual(
    missing(DOCUMENT_KEYS, [shown], ({ field }) => field !== null),
    [],
  );
});

test('every key is in the JSON schema, with a description and its aliases', () => {
  type Schema = { properties?: Record<string, Schema>; items?: Schema; anyOf?: Schema[]; description?: string };
  const check = (keys: KeyTable, schema: Schema | undefined, path: string) => {
    for (const [name, { type, alias }] of Object.entries(keys)) {
      for (const spelling of alias === undefined ? [name] : [name, alias]) {
        const property = schema?.properties?.[spelling];
        assert.ok(property?.description, `${path}${spelling}`);
        const nested = property.items?.anyOf?.[1] ?? property.items ?? property;
        if (type.kind !== 'scalar') check(type.keys, nested, `${path}${spelling}.`);
      }
    }
  };
  check(DOCUMENT_KEYS, configJsonSchema() as Schema, '');
});

describe('the reference', () => {
  const sections = new Map(
    configReference()
      .split(/^## /m)
      .map((section) => [section.split('\n')[0]!.replaceAll('`', ''), section]),
  );
  const check = (header: string, keys: KeyTable) => {
    for (const [name, { type, alias, summary }] of Object.entries(keys)) {
      test(`describes ${name} of ${header}`, () => {
        const spelling = alias === undefined ? '' : ` or \`${alias}\``;
        assert.ok(sections.get(header)?.includes(`| \`${name}\`${spelling} | ${summary}`));
      });
      if (type.kind !== 'scalar' && type.keys !== DEFAULT_KEYS) check(type.header, type.keys);
    }
  };
  check('Top of the file', DOCUMENT_KEYS);

  test('lists the keys of [defaults]', () => {
    for (const name of Object.keys(DEFAULT_KEYS)) assert.ok(sections.get('[defaults]')?.includes(`\`${name}\``), name);
  });
});

describe('a plan tells', () => {
  const definition = (service: Service) => ({ service, group: null, groupIp: null, groupIndex: null, kernel: null });
  const web = config.services[0]!;
  const other = parse('[[service]]\nname = "other"\ncommand = "y"\nrootfs = "/x"\nhealthcheck = { tcp = 1 }')
    .services[0]!;
  /** The first service, with the other one's value of a field. */
  const exchange = (stored: object, others: object, [outer = '', ...inner]: readonly string[]): object => {
    const [own, foreign] = [stored as Document, others as Document];
    const value = inner.length === 0 ? foreign[outer] : exchange(own[outer] as object, foreign[outer] as object, inner);
    return { ...own, [outer]: value };
  };
  const check = (keys: KeyTable, table: readonly string[]) => {
    for (const [name, { type, difference, change }, field] of storedKeys(keys)) {
      // Both have the same isolation: there is a test of its own for it.
      if (name === 'isolation') continue;
      test(`a difference of ${[...table, name].join('.')}`, () => {
        const changed = exchange(web, other, [...table, ...field.split('.')]) as Service;
        const phrases = describeDifferences(definition(web), definition(changed)).join('; ');
        const noun = typeof difference === 'object' ? difference.noun : field === 'probe' ? 'healthcheck' : name;
        assert.match(phrases, new RegExp(`\\b${noun}\\b`));
        assert.notEqual(change, 'live', 'a difference restarts the service');
      });
      if (type.kind === 'table') check(type.keys, [...table, name]);
    }
  };
  check(SERVICE_KEYS, []);
});

describe('a misspelt key', () => {
  const headers: Readonly<Record<string, string>> = {
    '': '',
    '[[service]]': '[[service]]\n',
    '[[group]]': '[[group]]\n',
    '[defaults]': '[defaults]\n',
    '[service.log]': '[[service]]\n[service.log]\n',
    '[logs]': '[logs]\n',
    '[images]': '[images]\n',
    '[service.healthcheck]': '[[service]]\n[service.healthcheck]\n',
  };
  const check = (header: string, keys: KeyTable) => {
    for (const name of Object.keys(keys)) {
      test(`like ${name} of ${header || 'the document'} is recognised`, () => {
        const [first = ''] = name;
        const problems = shortProblems(`${headers[header]}"${first}${name}" = 1\n`);
        assert.ok(
          problems.some((problem) => problem.endsWith(`unknown key; did you mean "${name}"?`)),
          problems.join('\n'),
        );
      });
    }
    for (const { type } of Object.values(keys)) {
      if (type.kind !== 'scalar' && headers[type.header] !== undefined && type.keys !== keys)
        check(type.header, type.keys);
    }
  };
  check('', DOCUMENT_KEYS);
});
