/**
 * Configs that are not valid, and all that is said about each: see `helpers/config/broken.ts`.
 *
 * UPDATE_EXPECTED=1 writes what is said now; whoever sets it reads the difference before it is committed.
 */
import assert from 'node:assert/strict';
import { extname } from 'node:path';
import { describe, test } from 'node:test';
import { parseConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problems.ts';
import { type BrokenConfig, countHeadings, readCases, SUBJECTS, updateExpected } from '../helpers/config/broken.ts';
import { detailsOf, HOST } from '../helpers/config/harness.ts';

/** All problems of a config, as people see them. */
function problemsOf({ name, text }: BrokenConfig): string {
  try {
    parseConfig(text, name, HOST);
  } catch (error) {
    return detailsOf(error)
      .map((problem) => `${formatProblem(problem)}\n`)
      .join('');
  }
  assert.fail(`${name} is valid`);
}

for (const subject of SUBJECTS) {
  if (process.env.UPDATE_EXPECTED === '1') {
    updateExpected(subject, new Map(readCases(subject).map((config) => [config.name, problemsOf(config)])));
  }
  describe(subject, () => {
    for (const config of readCases(subject)) {
      test(`${config.name} has the expected problems`, () => assert.equal(problemsOf(config), config.expected));
    }
  });
}

test('there are many, in every language, each with a name of its own and written so that it is read', () => {
  const cases = SUBJECTS.flatMap(readCases);
  assert.equal(
    cases.length,
    SUBJECTS.map(countHeadings).reduce((sum, count) => sum + count, 0),
  );
  assert.ok(cases.length >= 250);
  assert.equal(new Set(cases.map(({ name }) => name)).size, cases.length);
  assert.deepEqual(new Set(cases.map(({ name }) => extname(name))), new Set(['.toml', '.yaml', '.json']));
});
