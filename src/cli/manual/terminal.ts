/** Renderer of Markdown for a terminal, a file or a pipe. */
import type { MarkedToken, Token, Tokens } from 'marked';
import stringWidth from 'string-width';
import { type Column, renderTable } from '../render/table.ts';
import { type Colors, type TextOptions, wrap } from '../render/terminal-text.ts';
import { type InlineStyle, parsePage, renderInline, topicOf } from './markdown.ts';

const INDENT = '  ';
/**
 * Placeholder for a space at which lines must not break. It is from the private use area, so that it occurs in no text.
 */
const HARD_SPACE = '\ue000';
/** Longest command that is kept on one line; longer ones may break, so that they fit. */
const MAX_WHOLE_CODE = 60;

/**
 * Renders a page. Headings start at the left edge and everything else is indented, so that the text is readable without
 * colours. Ends in a newline.
 */
export function renderForTerminal(markdown: string, options: TextOptions): string {
  // Every column can be wrapped, but too narrow ones are unreadable.
  const isTooWide = (widths: readonly number[]) => widths.reduce((sum, width) => sum + width, 0) > 2 * options.columns;
  const lines = renderBlocks(parsePage(markdown, isTooWide), INDENT, options);
  return `${lines.join('\n').replaceAll(HARD_SPACE, ' ').trimEnd()}\n`;
}

/** Lines of blocks; each block ends with an empty line. */
function renderBlocks(tokens: readonly Token[], indent: string, options: TextOptions): string[] {
  return tokens.flatMap((token) => {
    const lines = renderBlock(token, indent, options);
    return lines.length === 0 ? [] : [...lines, ''];
  });
}

function renderBlock(token: Token, indent: string, options: TextOptions): string[] {
  const { colors, columns } = options;
  const block = token as MarkedToken;
  const style = styleOf(colors);
  const renderHead = (tokens: readonly Token[]) => paintWords(renderInline(tokens, style), colors.bold);
  switch (block.type) {
    case 'heading':
      return [renderHead(block.tokens)];
    case 'code':
      // Diagrams are for the web only.
      if (block.lang === 'mermaid') return [];
      return block.text.split('\n').map((line) => `${indent}${INDENT}${colors.cyan(line)}`.trimEnd());
    case 'list':
      return renderList(block, indent, options);
    case 'table': {
      const tableColumns = block.header.map(
        ({ tokens, align }): Column<readonly Tokens.TableCell[]> => [
          renderHead(tokens),
          align === 'right' ? 'right' : 'left',
          (row, index) => renderInline(row[index]!.tokens, style),
        ],
      );
      const width = columns - indent.length;
      const wide = renderTable(tableColumns, block.rows, { width });
      const fits = wide.every((line) => stringWidth(line) <= width);
      const lines = fits ? wide : renderTable(tableColumns, block.rows, { width, gap: 1 });
      return lines.map((line) => `${indent}${line}`);
    }
    case 'blockquote':
      return renderBlocks(block.tokens, `${indent}${INDENT}`, options).slice(0, -1);
    case 'hr':
      return [`${indent}${'-'.repeat(8)}`];
    case 'space':
    case 'html':
      return [];
    default: {
      const inline = 'tokens' in block ? (block.tokens ?? [block]) : [block];
      return wrap(renderInline(inline, style), columns, indent);
    }
  }
}

function renderList({ items, ordered, start, loose }: Tokens.List, indent: string, options: TextOptions): string[] {
  const blocks = items.map((item, index) => {
    const mark = ordered ? `${Number(start) + index}. ` : '- ';
    const lines = renderBlocks(item.tokens, indent + ' '.repeat(mark.length), options);
    // A tight list keeps nested lists directly below their text.
    const body = loose ? lines.slice(0, -1) : lines.filter((line) => line !== '');
    return [`${indent}${mark}${(body[0] ?? '').trimStart()}`, ...body.slice(1), ...(loose ? [''] : [])];
  });
  const lines = blocks.flat();
  return loose ? lines.slice(0, -1) : lines;
}

function styleOf(colors: Colors): InlineStyle {
  return {
    strong: (text) => paintWords(text, colors.bold),
    em: (text) => paintWords(text, colors.italic),
    code(plain) {
      const text = plain.length > MAX_WHOLE_CODE ? plain : plain.replaceAll(' ', HARD_SPACE);
      return colors.isColorSupported ? colors.cyan(text) : `\`${text}\``;
    },
    link(text, href) {
      const topic = topicOf(href);
      const target = topic === null ? href : `monocore help ${topic}`;
      // `#` links to a section of the same page.
      return href.startsWith('#') || text === href ? text : `${text} (${target.replaceAll(' ', HARD_SPACE)})`;
    },
    text: String,
    lineBreak: '\n',
  };
}

/** Colours each word separately, so that a line may break between any two. */
function paintWords(text: string, paint: (word: string) => string): string {
  return text.replace(/\S+/g, (word) => paint(word));
}
