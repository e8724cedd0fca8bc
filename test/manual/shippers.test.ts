import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { parse as parseToml } from 'smol-toml';
import { parse as parseYaml } from 'yaml';
import { SHIPPERS, shipperConfig } from '../../src/manual/shippers.ts';

const LOG_DIR = '/srv/größe 1 _+@=~-.d/log';
const STREAMS = ['stdout', 'stderr'];
const FOLDER = new URL('../../src/manual/shippers/', import.meta.url);

const configOf = (name: string) => shipperConfig(SHIPPERS.find((shipper) => shipper.name === name)!, LOG_DIR);

/** Every string in a parsed config. */
function stringsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(stringsIn) : [];
}

test('each config has a row, and begins with the path at which it is installed', () => {
  assert.deepEqual(SHIPPERS.map(({ file }) => file).sort(), readdirSync(FOLDER).sort());
  for (const { file, installAt } of SHIPPERS) {
    const [firstLine = ''] = readFileSync(new URL(file, FOLDER), 'utf8').split('\n');
    assert.equal(firstLine.replace(/^(?:#|\/\/) /, '').replace(/:.*/, ''), installAt);
  }
});

test('each config names the log folder of the home, and no other', () => {
  for (const shipper of SHIPPERS) {
    const config = shipperConfig(shipper, LOG_DIR);
    assert.ok(config.includes(LOG_DIR), shipper.name);
    assert.ok(!config.includes('/var/lib/monocore'), shipper.name);
  }
});

test('the log folder keeps its characters in TOML and YAML', () => {
  const globs = STREAMS.map((stream) => `${LOG_DIR}/*.${stream}.[0-9]*.log`);
  const found = (config: unknown) => stringsIn(config).filter((text) => text.includes(LOG_DIR));
  assert.deepEqual(found(parseToml(configOf('vector'))), globs);
  assert.deepEqual(found(parseYaml(configOf('promtail'))), globs);
  assert.deepEqual(found(parseYaml(configOf('fluent-bit'))), [globs.join(',')]);
  assert.deepEqual(found(parseYaml(configOf('filebeat'))), [
    ...globs,
    `${LOG_DIR}/%{service.name}.%{stream}.%{?number}.log`,
  ]);
});

test('a path with characters that are special in configs is refused, and they are named', () => {
  for (const character of [
    '"',
    "'",
    '\\',
    '`',
    '\n',
    '\t',
    ',',
    '*',
    '?',
    '[',
    '{',
    '$',
    '%',
    '#',
    ':',
    ';',
    '\u00a0',
  ]) {
    for (const shipper of SHIPPERS) {
      assert.throws(() => shipperConfig(shipper, `/srv/a${character}b/log`), {
        code: 'Usage',
        message:
          `no config for ${shipper.title}: the path ${JSON.stringify(`/srv/a${character}b/log`)} has characters that are ` +
          `special in its config: ${JSON.stringify(character)}; use a --home without them`,
      });
    }
  }
});
