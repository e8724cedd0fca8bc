/** What the README quotes is what the tests run. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const snippets = new URL('./fixtures/shippers/', import.meta.url);

for (const name of readdirSync(snippets)) {
  test(`the README quotes ${name} as it is tested`, () => {
    const text = readFileSync(new URL(name, snippets), 'utf8').trimEnd();
    assert.ok(readme.includes(`\n${text}\n\`\`\``));
  });
}
