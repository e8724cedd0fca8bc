import assert from 'node:assert/strict';
import test from 'node:test';
import { readPages } from '../../../src/cli/manual/pages.ts';

const pages = readPages();

test('the page for newcomers is the first', () => {
  assert.equal(pages[0]?.topic, 'start');
});

for (const { topic, title, text } of pages) {
  test(`the page "${topic}" has a title, and its links lead to pages`, () => {
    assert.ok(text.startsWith(`# ${title}\n\n`));
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, target]) => target);
    assert.deepEqual(
      links.filter((target) => !pages.some((page) => `${page.topic}.md` === target)),
      [],
    );
  });
}
