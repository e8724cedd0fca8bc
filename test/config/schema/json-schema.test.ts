import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Ajv, type SchemaObject } from 'ajv';
import { parse as parseToml } from 'smol-toml';
import { listPages } from '../../../src/cli/manual/pages.ts';
import { writeConfig } from '../../../src/config/print.ts';
import { configJsonSchema } from '../../../src/config/schema/json-schema.ts';
import { readCases, SUBJECTS } from '../../helpers/config/broken.ts';
import { parse, serviceText, shortProblems } from '../../helpers/config/harness.ts';

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const validate = new Ajv({ strict: true, strictTypes: false, allErrors: true }).compile({
  ...configJsonSchema(),
} as SchemaObject);

/** Errors of the schema for a config in TOML: `path message`, empty for a valid one. */
function complaints(text: string): string[] {
  validate(JSON.parse(JSON.stringify(parseToml(text))));
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

const PAGES = ['README.md', ...listPages().map(({ topic }) => `src/manual/${topic}.md`)];
const MANUAL_CONFIGS = [
  ...PAGES.map(read)
    .join('\n')
    .matchAll(/```toml\n(.*?)```/gs),
]
  .map(([, text]) => text!)
  .filter((text) => text.includes('[[service]]'));

describe('the JSON schema', () => {
  test('takes every example', () => {
    assert.ok(MANUAL_CONFIGS.length >= 2);
    for (const text of [read('scripts/demo.toml'), read('src/manual/first-config.toml'), ...MANUAL_CONFIGS]) {
      assert.deepEqual(complaints(text), []);
      parse(text.replace(/^rootfs = .*$/gm, ''));
    }
  });

  test('takes what config show prints', () => {
    assert.deepEqual(complaints(writeConfig(parse(read('scripts/demo.toml')), 'toml')), []);
  });

  const keys: [string, ...string[]][] = [
    ['args = "x"'],
    ['cpus = 0'],
    ['cpus = "1"'],
    ['comand = "x"'],
    ['restart = "maybe"'],
    ['ram = true'],
    ['ports = [80.5]'],
    ['envs = ["A"]'],
    ['envs = { A = 1 }'],
    ['secrets = [1]'],
    ['volumes = "/a:/b"'],
    ['depends_on = [{ condition = "healthy" }]'],
    ['depends_on = [{ service = "web", condition = "up" }]'],
    ['group_volumes = [{ mount = ".:/x" }]'],
    ['healthcheck = { tcp = 0 }'],
    ['healthcheck = { exec = 1 }'],
    ['log = { format = "xml" }'],
    ['log = { keep = 1.5 }'],
    ['replicas = 0'],
    ['profiles = "dev"'],
    ['env_file = 1'],
    ['name2 = "x"'],
  ];
  for (const [key] of keys) {
    test(`refuses ${key}, as the config does`, () => {
      assert.notDeepEqual(complaints(serviceText(key)), []);
      assert.notDeepEqual(shortProblems(serviceText(key)), []);
    });
  }

  for (const text of [
    'services = []',
    '[[service]]',
    'kernel = 1',
    '[[group]]\nlocal_only = 1',
    '[images]\nx = 1',
    '[defaults]\nname = "x"',
  ]) {
    test(`refuses ${JSON.stringify(text)}, as the config does`, () => {
      assert.notDeepEqual(complaints(text), []);
      assert.notDeepEqual(shortProblems(text), []);
    });
  }

  // What only rules between keys know, or a reader of the text.
  const beyond = new Set(['missing-command.toml', 'missing-probe.toml']);
  const broken = SUBJECTS.flatMap(readCases).filter(
    ({ name }) => /^(key|kind|missing)-.*\.toml$/.test(name) && !beyond.has(name),
  );
  for (const { name, text } of broken) test(`refuses ${name}`, () => assert.notDeepEqual(complaints(text), []));

  test('describes every key', () => {
    const { properties } = configJsonSchema() as { properties: Record<string, { description?: string }> };
    for (const [key, { description }] of Object.entries(properties)) assert.ok(description, key);
    const service = (properties.service as { items?: { properties: Record<string, { description?: string }> } }).items!;
    for (const [key, { description }] of Object.entries(service.properties)) assert.ok(description, key);
  });
});
