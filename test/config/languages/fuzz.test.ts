/** Random configs in YAML and JSON, as those in TOML in config/fuzz.test.ts. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { stringify as stringifyToml } from 'smol-toml';
import { stringify as stringifyYaml } from 'yaml';
import { loadConfig } from '../../../src/config/load.ts';
import { LANGUAGES, type Language, writeConfig } from '../../../src/config/print.ts';
import { detailsOf, parse } from '../../helpers/config/harness.ts';
import { complaintsOf, survives } from '../../helpers/config/survival.ts';
import { rounds } from '../../helpers/rounds.ts';

const DEMO = parse(readFileSync(new URL('../../../scripts/demo.toml', import.meta.url), 'utf8'));

const YAML_PIECES = [
  '- ',
  '? ',
  ': ',
  '&a ',
  '*a',
  '!!str ',
  '!x ',
  '|\n',
  '>-\n  ',
  '---\n',
  '...\n',
  '%YAML 1.1\n',
  '<<: ',
  '~',
  '{',
  '}',
  '[',
];
YAML_PIECES.push(
  ']',
  ',',
  '#',
  '"',
  "'",
  '\n',
  '\n  ',
  '\n\t',
  '@',
  '`',
  '\\',
  'service:\n',
  '  - name: a\n',
  '    command: x\n',
  '\u0000',
  '\u2028',
  '😀',
);
const JSON_PIECES = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\',
  '\\u0000',
  '\\ud800',
  '"service"',
  '"name"',
  '"a"',
  '[{',
  '}]',
  'null',
  '1e400',
  '-',
  '0',
  '//',
  '\n',
  '\t',
  '\u0000',
];
const PIECES: Record<Exclude<Language, 'toml'>, string[]> = { yaml: YAML_PIECES, json: JSON_PIECES };

for (const language of ['yaml', 'json'] as const) {
  const piece = fc.constantFrom(...PIECES[language]);

  test(`random text as ${language}`, () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')),
    );
    fc.assert(
      fc.property(text, (input) => void survives(input, language)),
      { numRuns: rounds(2000) },
    );
  });

  test(`a valid config in ${language} with characters replaced`, () => {
    const valid = writeConfig(DEMO, language);
    assert.ok(survives(valid, language));
    const edit = fc.record({ at: fc.nat(valid.length), drop: fc.nat(12), insert: fc.oneof(piece, fc.string()) });
    const edits = fc.array(edit, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(edits, (all) => {
        const text = all.reduce(
          (result, { at, drop, insert }) => result.slice(0, at) + insert + result.slice(at + drop),
          valid,
        );
        survives(text, language);
      }),
      { numRuns: rounds(500) },
    );
  });
}

test('a file of any bytes is read or refused', async () => {
  const folder = join(tmpdir(), `monocore-fuzz-${process.pid}`);
  const file = (language: Language) => `${folder}.${language}`;
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc.string().map((text) => Buffer.from(`\uFEFF${text}`)),
  );
  try {
    await fc.assert(
      fc.asyncProperty(bytes, fc.constantFrom(...LANGUAGES), async (content, language) => {
        await writeFile(file(language), content);
        await loadConfig(file(language)).catch(detailsOf);
      }),
      { numRuns: rounds(300) },
    );
  } finally {
    for (const language of LANGUAGES) await rm(file(language), { force: true });
  }
});

/** Tables and values as all three languages know them. */
type Json = string | number | boolean | Json[] | { [key: string]: Json };

test('a config with values replaced has the same problems in every language', () => {
  const valid: Json = JSON.parse(writeConfig(DEMO, 'json'));
  const atom = fc.constantFrom<Json>(
    '',
    'a',
    'web',
    '80',
    '8080:80/udp',
    '/a:/b',
    '1GiB',
    '5s',
    'always',
    'A=1',
    'no',
    0,
    1,
    -7,
    0.5,
    1e9,
    true,
    false,
  );
  const value = fc.oneof(
    atom,
    fc.array(atom, { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('name', 'tcp', 'service', 'keep', 'other'), atom, {
      maxKeys: 3,
      noNullPrototype: true,
    }),
  );
  const positions = placesOf(valid).filter((path) => path.length > 0);
  const extra = [
    'volumes',
    'group_volumes',
    'secrets',
    'replicas',
    'profiles',
    'base',
    'healthcheck',
    'max_restarts',
    'odd key',
  ];
  const more = fc.tuple(fc.nat(3), fc.constantFrom(...extra)).map(([index, key]) => ['service', index, key]);
  const edit = fc.tuple(fc.oneof(fc.constantFrom(...positions), more), value);
  const runs = rounds(500);
  let faulty = 0;
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
      const document = structuredClone(valid);
      for (const [path, replacement] of edits) replace(document, path, replacement);
      const text = JSON.stringify(document);
      const expected = complaintsOf(text, 'json');
      faulty += expected.length > 0 ? 1 : 0;
      assert.deepEqual(complaintsOf(stringifyYaml(document, { lineWidth: 0 }), 'yaml'), expected);
      // TOML's arrays of tables have no place for what is no table.
      const toml = stringifyToml(document as Record<string, Json>);
      assert.deepEqual(complaintsOf(toml, 'toml'), expected);
    }),
    { numRuns: runs },
  );
  assert.ok(faulty > runs / 5, `${faulty} configs were faulty`);
});

function placesOf(value: Json, path: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object') return [path];
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return [path, ...entries.flatMap(([key, inner]) => placesOf(inner, [...path, key]))];
}

/** Replaces a value, unless an earlier edit removed its position. */
function replace(document: Json, path: readonly (string | number)[], value: Json): void {
  let owner = document as Record<string | number, Json>;
  for (const key of path.slice(0, -1)) {
    const next = owner[key];
    if (typeof next !== 'object') return;
    owner = next as Record<string | number, Json>;
  }
  owner[path.at(-1)!] = value;
}
