/**
 * Configs that are wrong, and all that is said about each: `broken/<name>.{toml,yaml,json}` and `<name>.<language>.expected`.
 *
 * UPDATE_EXPECTED=1 writes what is said now; whoever sets it reads the difference before it is committed.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { extname } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problems.ts';
import { detailsOf, HOST } from './harness.ts';

const folder = new URL('broken/', import.meta.url);
const files = readdirSync(folder).filter((name) => extname(name) !== '.expected');

/** All problems of a config, as people see them. */
function complaintsAbout(name: string): string {
  try {
    parseConfig(readFileSync(new URL(name, folder), 'utf8'), name, HOST);
  } catch (error) {
    return detailsOf(error)
      .map((problem) => `${formatProblem(problem)}\n`)
      .join('');
  }
  assert.fail(`${name} is valid`);
}

for (const name of files) {
  test(`${name} is wrong as expected`, () => {
    const expected = new URL(`${name}.expected`, folder);
    const complaints = complaintsAbout(name);
    if (process.env.UPDATE_EXPECTED === '1') writeFileSync(expected, complaints);
    assert.equal(complaints, existsSync(expected) ? readFileSync(expected, 'utf8') : '');
  });
}

test('there are many, in every language, and no expectation without its config', () => {
  assert.ok(files.length >= 150, fileURLToPath(folder));
  assert.deepEqual(new Set(files.map(extname)), new Set(['.toml', '.yaml', '.json']));
  const expectations = readdirSync(folder).filter((name) => extname(name) === '.expected');
  assert.deepEqual(expectations.sort(), files.map((name) => `${name}.expected`).sort());
});
