import assert from 'node:assert/strict';
import test from 'node:test';
import { renderManPage } from '../../scripts/man/roff.ts';

/** Lines of a page after its name section. */
function render(text: string): string[] {
  const page = renderManPage({ name: 'monocore-x', section: 7, title: 'An x', version: '1.2.3', text });
  const [tbl, head, name, title, ...lines] = page.trimEnd().split('\n');
  assert.deepEqual(
    [tbl, head, name, title],
    [`'\\" t`, '.TH MONOCORE\\-X 7 "" "monocore 1.2.3" "monocore manual"', '.SH NAME', 'monocore\\-x \\- An x'],
  );
  return lines;
}

test('text before the first heading is the description, and headings are sections', () => {
  assert.deepEqual(render('# An x\n\nSome\ntext.\n\nMore.\n\n## The `end`\n\nText.\n\n### Sub\n\nText.'), [
    '.SH DESCRIPTION',
    'Some text.',
    '.PP',
    'More.',
    '.SH THE END',
    'Text.',
    '.SS Sub',
    'Text.',
  ]);
  assert.deepEqual(render('# An x\n\n## First\n\nText.'), ['.SH FIRST', 'Text.']);
});

test('no character of the text is taken for a request or an escape', () => {
  assert.deepEqual(render("## A\n\n.start 'x' C:\\new a-b ~/é\n\n```\n.dot\n'quote\n```"), [
    '.SH A',
    '\\&.start \\(aqx\\(aq C:\\enew a\\-b \\(ti/\\[u00E9]',
    ...['.PP', '.RS 4', '.nf', '\\&.dot', '\\(aqquote', '.fi', '.RE'],
  ]);
});

test('lists have bullets, numbers, or a term with its definition', () => {
  assert.deepEqual(render('## A\n\n- one\n- `--json`: print **JSON**\n\n1. first\n2. second'), [
    '.SH A',
    ...['.IP \\(bu 2', 'one', '.TP', '\\fB\\-\\-json\\fR', 'print \\fBJSON\\fR'],
    ...['.IP 1. 4', 'first', '.IP 2. 4', 'second'],
  ]);
});

test('a table is one for tbl whose last column is wrapped', () => {
  assert.deepEqual(render('## A\n\n| Key | n | Text |\n|---|--:|---|\n| `a@b` | 1 | .x |'), [
    '.SH A',
    ...['.TS', 'tab(@);', 'lb rb lb', 'l r lx.', 'Key@n@Text', '\\fBa\\(atb\\fR@1@T{', '\\&.x', 'T}', '.TE'],
  ]);
});

test('a link to another page names its man page, any other shows its address', () => {
  assert.deepEqual(render('## A\n\nSee [states](states.md), [Node](https://nodejs.org) or [above](#a).'), [
    '.SH A',
    'See states (\\fBmonocore\\-states\\fR(7)), Node (https://nodejs.org) or above.',
  ]);
});
