import assert from 'node:assert/strict';
import test from 'node:test';
import type { Tokens } from 'marked';
import { parsePage, topicOf } from '../../../src/cli/manual/markdown.ts';

const TABLE = '| Key | Meaning | Value | Default |\n|---|---|---|---|\n| `a` | an *a* | 1 | |\n| `b` | b | 2 | `3` |\n';

test('a table that is too wide becomes a list, without empty cells', () => {
  assert.equal(parsePage(TABLE, () => false)[0]!.type, 'table');
  const [list] = parsePage(TABLE, (widths) => {
    assert.deepEqual(widths, [3, 7, 5, 7]);
    return true;
  }) as [Tokens.List];
  assert.equal(list.type, 'list');
  assert.deepEqual(
    list.items.map(({ text }) => text),
    ['`a`: an *a*  \nValue: 1.', '`b`: b  \nValue: 2. Default: `3`.'],
  );
});

test('links to pages name their topics, other links none', () => {
  assert.deepEqual(['states.md', './states.md#restarts', 'https://a.b/states.md', '#here'].map(topicOf), [
    'states',
    'states',
    null,
    null,
  ]);
});
