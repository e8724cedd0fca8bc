/**
 * Configs that are not valid, each with all its problems: see `helpers/config/broken.ts`.
 *
 * UPDATE_EXPECTED=1 writes the present problems into the tables; read the difference before you commit it.
 */
import assert from 'node:assert/strict';
import { extname } from 'node:path';
import { describe, test } from 'node:test';
import { parseConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problems.ts';
import { type BrokenConfig, countHeadings, readCases, SUBJECTS, updateExpected } from '../helpers/config/broken.ts';
import { detailsOf, HOST } from '../helpers/config/harness.ts';

/** Problems of a config as people see them. */
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

test('the tables have many cases in every language, and every heading in them is a case', () => {
  const cases = SUBJECTS.flatMap(readCases);
  assert.equal(
    cases.length,
    SUBJECTS.map(countHeadings).reduce((sum, count) => sum + count, 0),
  );
  assert.ok(cases.length >= 250);
  assert.equal(new Set(cases.map(({ name }) => name)).size, cases.length);
  assert.deepEqual(new Set(cases.map(({ name }) => extname(name))), new Set(['.toml', '.yaml', '.json']));
});
