/** The security page names a test for each bound on a guest. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import test from 'node:test';

const PAGE = readFileSync(new URL('../../src/manual/security.md', import.meta.url), 'utf8');
const TESTS = new URL('..', import.meta.url);

test('each bound on what a guest can make the host hold names a test that exists', () => {
  const section = PAGE.split(/^## /m).find((part) => part.startsWith('What a guest can make the host hold')) ?? '';
  const rows = section
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(1);
  assert.ok(rows.length >= 15, `${rows.length} rows`);
  for (const row of rows) {
    const [, name] = /\| `([^`]+)` \|$/.exec(row) ?? [];
    assert.ok(name !== undefined && existsSync(new URL(`${name}.test.ts`, TESTS)), row);
  }
});
