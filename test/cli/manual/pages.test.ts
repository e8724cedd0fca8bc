import assert from 'node:assert/strict';
import test from 'node:test';
import stringWidth from 'string-width';
import { listPages, readPage } from '../../../src/cli/manual/pages.ts';
import { renderForTerminal } from '../../../src/cli/manual/terminal.ts';
import { NO_COLORS } from '../../../src/cli/render/terminal-text.ts';

const pages = listPages();

test('the page for newcomers is the first', () => {
  assert.equal(pages[0]?.topic, 'start');
});

for (const { topic, title } of pages) {
  test(`the page "${topic}" fits a terminal of 80 columns`, async () => {
    const text = renderForTerminal(await readPage(topic), { colors: NO_COLORS, columns: 80 });
    assert.deepEqual(
      text.split('\n').filter((line) => stringWidth(line) > 80),
      [],
    );
  });

  test(`the page "${topic}" has a title, its parts, and links that lead to pages`, async () => {
    const text = await readPage(topic);
    assert.ok(text.startsWith(`# ${title}\n\n`));
    assert.doesNotMatch(text, /^<!--/m);
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, target]) => target);
    assert.deepEqual(
      links.filter((target) => !pages.some((page) => `${page.topic}.md` === target)),
      [],
    );
  });
}
