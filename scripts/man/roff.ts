/** Markdown as a manual page: man(7), tbl(1) and groff_char(7), in the subset that mandoc knows as well. */
import type { MarkedToken, Token, Tokens } from 'marked';
import { type InlineStyle, parsePage, renderInline, topicOf } from '../../src/cli/manual/markdown.ts';

/** Width of a page that man(1) shows without a terminal. */
const COLUMNS = 78;
/** Least width of the last column, the only one that tbl wraps. */
const LAST_COLUMN = 30;

export interface ManPage {
  readonly name: string;
  /** 1 for commands, 5 for files, 7 for everything else. */
  readonly section: 1 | 5 | 7;
  /** Behind the name in whatis(1). */
  readonly title: string;
  readonly version: string;
  /** Markdown; a heading of the first level is left out, since the name section has it. */
  readonly text: string;
}

/** The source of the page. Ends in a newline. */
export function renderManPage({ name, section, title, version, text }: ManPage): string {
  const tokens = parsePage(text, (widths) => {
    return widths.slice(0, -1).reduce((sum, width) => sum + width + 3, LAST_COLUMN) > COLUMNS;
  });
  const blocks = tokens.filter((token) => token.type !== 'heading' || (token as Tokens.Heading).depth > 1);
  // Text before the first section has none of its own in Markdown.
  const opening = blocks.find((token) => token.type !== 'space')?.type === 'heading' ? [] : ['.SH DESCRIPTION'];
  const lines = [
    // Asks man(1) to run tbl first.
    `'\\" t`,
    `.TH ${escapeText(name.toUpperCase())} ${section} "" "monocore ${escapeText(version)}" "monocore manual"`,
    '.SH NAME',
    `${escapeText(name)} \\- ${escapeText(title)}`,
    ...opening,
    ...blocks.flatMap(renderBlock),
  ];
  // A section begins a paragraph already.
  return `${lines.filter((line, index) => line !== '.PP' || !/^\.S[HS] /.test(lines[index - 1]!)).join('\n')}\n`;
}

function renderBlock(token: Token): string[] {
  const block = token as MarkedToken;
  switch (block.type) {
    case 'heading':
      if (block.depth > 2) return [`.SS ${renderInline(block.tokens, STYLE)}`];
      return [`.SH ${escapeText(block.text.replaceAll('`', '').toUpperCase())}`];
    case 'code': {
      // A diagram for the web.
      if (block.lang === 'mermaid') return [];
      const lines = block.text.split('\n').map((line) => guard(escapeText(line)));
      return ['.PP', '.RS 4', '.nf', ...lines, '.fi', '.RE'];
    }
    case 'list':
      return renderList(block);
    case 'table':
      return renderTable(block);
    case 'blockquote':
      return ['.RS 4', ...block.tokens.flatMap(renderBlock), '.RE'];
    case 'space':
    case 'html':
    case 'hr':
      return [];
    default:
      return ['.PP', guard(renderInline('tokens' in block ? (block.tokens ?? [block]) : [block], STYLE))];
  }
}

function renderList({ items, ordered, start }: Tokens.List): string[] {
  return items.flatMap((item, index) => {
    const [first, ...rest] = item.tokens.filter((token) => token.type !== 'space');
    const inline = first && 'tokens' in first ? (first.tokens ?? []) : [];
    const nested = rest.flatMap(renderBlock);
    const body = nested.length > 0 ? ['.RS 4', ...nested, '.RE'] : [];
    // `--json`: print JSON. A term and its definition.
    const [term, definition, ...more] = inline;
    if (!ordered && term?.type === 'codespan' && definition?.type === 'text' && definition.text.startsWith(': ')) {
      const after = { ...definition, text: definition.text.slice(': '.length) };
      return ['.TP', renderInline([term], STYLE), guard(renderInline([after, ...more], STYLE)), ...body];
    }
    const mark = ordered ? `${Number(start) + index}.` : '\\(bu';
    return [`.IP ${mark} ${ordered ? 4 : 2}`, guard(renderInline(inline, STYLE)), ...body];
  });
}

/** The last column takes the rest of the line, and its cells are wrapped. */
function renderTable({ header, rows, align }: Tokens.Table): string[] {
  const columns = align.map(
    (side, column) => `${side === 'right' ? 'r' : 'l'}${column === align.length - 1 ? 'x' : ''}`,
  );
  const heads = columns.map((column) => `${column.replace('x', '')}b`);
  const row = (cells: readonly Tokens.TableCell[]) =>
    cells
      .map(({ tokens }, column) => {
        const text = renderInline(tokens, STYLE);
        return column === cells.length - 1 ? `T{\n${guard(text)}\nT}` : text;
      })
      .join('@');
  const head = header.map(({ tokens }) => renderInline(tokens, STYLE)).join('@');
  return ['.PP', '.TS', 'tab(@);', heads.join(' '), `${columns.join(' ')}.`, head, ...rows.map(row), '.TE'];
}

const STYLE: InlineStyle = {
  strong: (text) => `\\fB${text}\\fR`,
  em: (text) => `\\fI${text}\\fR`,
  code: (plain) => `\\fB${escapeText(plain)}\\fR`,
  link(text, href) {
    const topic = topicOf(href);
    if (topic === 'config') return `${text} (\\fBmonocore.toml\\fR(5))`;
    if (topic !== null) return `${text} (\\fBmonocore\\-${escapeText(topic)}\\fR(7))`;
    return href.startsWith('#') || text === escapeText(href) ? text : `${text} (${escapeText(href)})`;
  },
  text: escapeText,
  lineBreak: '\n.br\n',
};

/** Text whose every character stands for itself. tbl takes `@` for the end of a cell. */
function escapeText(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replaceAll('`', '\\(ga')
    .replaceAll('@', '\\(at')
    .replaceAll('"', '\\(dq')
    .replace(
      /[^\n\x20-\x7e]/gu,
      (character) => `\\[u${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}]`,
    );
}

/** A dot at the start of a line would be a request. Quotes are escaped already. */
function guard(line: string): string {
  return line.replace(/^(?=\.(?!br$))/gm, '\\&');
}
