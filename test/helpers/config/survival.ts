/** Properties of any text that is read as a config. */
import assert from 'node:assert/strict';
import * as v from 'valibot';
import { parseConfig } from '../../../src/config/load.ts';
import type { Language } from '../../../src/config/print.ts';
import { formatProblem } from '../../../src/config/problems.ts';
import { type Config, ConfigSchema } from '../../../src/protocol/service.ts';
import { detailsOf, HOST } from './harness.ts';

/** Fails unless the text is a config or a ConfigInvalid whose problems can be shown; true when it was valid. */
export function survives(text: string, language: Language = 'toml'): boolean {
  return complaintsOf(text, language).length === 0;
}

/** As {@link survives}; `path: message` of each problem, sorted, or none. */
export function complaintsOf(text: string, language: Language): string[] {
  let config: Config;
  try {
    config = parseConfig(text, `/etc/demo/monocore.${language}`, HOST);
  } catch (error) {
    checkProblems(text, error);
    return detailsOf(error)
      .map(({ path, message }) => `${path}: ${message}`)
      .sort();
  }
  assert.deepEqual(v.parse(ConfigSchema, config), config);
  return [];
}

function checkProblems(text: string, error: unknown): void {
  const problems = detailsOf(error);
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const positions = problems.map(({ line, column }): [number, number] => [line, column]);
  assert.deepEqual(
    positions,
    positions.toSorted(([a, b], [c, d]) => a - c || b - d),
  );
  for (const problem of problems) {
    assert.equal(problem.source, lines[problem.line - 1], 'the source is the line that is named');
    assert.ok(problem.column >= 1 && problem.column <= problem.source.length + 1, 'the column is on that line');
    assert.notEqual(problem.message, '');
    assert.ok(!/[^\P{Cc}\t\n]/u.test(formatProblem(problem)), 'nothing controls the terminal');
  }
}
