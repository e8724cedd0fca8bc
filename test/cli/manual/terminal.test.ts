import assert from 'node:assert/strict';
import test from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import pc from 'picocolors';
import { renderForTerminal } from '../../../src/cli/manual/terminal.ts';
import { NO_COLORS } from '../../../src/cli/render/terminal-text.ts';

function render(text: string, columns = 40): string[] {
  return renderForTerminal(text, { colors: NO_COLORS, columns }).trimEnd().split('\n');
}

test('headings stand at the edge, paragraphs are indented and wrapped between words', () => {
  assert.deepEqual(render('# Title\n\nThis is a paragraph\nof more than one line, with `code that stays`.'), [
    'Title',
    '',
    '  This is a paragraph of more than one',
    '  line, with `code that stays`.',
  ]);
  assert.deepEqual(render('`one two three` four', 12), ['  `one two three`', '  four']);
});

test('code keeps its lines, however long', () => {
  const long = `monocore ${'x'.repeat(50)}`;
  assert.deepEqual(render(`\`\`\`sh\n${long}\n\n  indented\n\`\`\``), [`    ${long}`, '', '      indented']);
});

test('lists are indented, with their own lists inside', () => {
  assert.deepEqual(render('1. first item that needs another line of text\n2. second\n   - inner\n   - inner two'), [
    '  1. first item that needs another line',
    '     of text',
    '  2. second',
    '     - inner',
    '     - inner two',
  ]);
});

test('a table fits the width: its widest column is wrapped', () => {
  assert.deepEqual(
    render('| Key | Size | Meaning |\n|---|--:|---|\n| `a` | 10 | a text that is too long for the line |'),
    ['  Key  Size  Meaning', '  `a`    10  a text that is too long for', '             the line'],
  );
});

test('a link says where it leads, to other pages by their command', () => {
  assert.deepEqual(render('[states](states.md), [Node](https://nodejs.org), <https://a.b>, [here](#x)', 100), [
    '  states (monocore help states), Node (https://nodejs.org), https://a.b, here',
  ]);
});

test('colours change neither text nor line breaks, but replace the quotes of code', () => {
  const text = '## A **bold** title\n\nSome *important* words with **two bold** ones and [a link](x.md).\n';
  const colored = renderForTerminal(text, { colors: pc.createColors(true), columns: 30 });
  assert.notEqual(colored, stripVTControlCharacters(colored));
  assert.equal(stripVTControlCharacters(colored), renderForTerminal(text, { colors: NO_COLORS, columns: 30 }));
  const code = renderForTerminal('`x`', { colors: pc.createColors(true), columns: 30 });
  assert.equal(code, `  ${pc.createColors(true).cyan('x')}\n`);
});
