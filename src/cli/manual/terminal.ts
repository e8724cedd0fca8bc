/** Markdown as text for a terminal, a file or a pipe. */
import type { Token, Tokens } from 'marked';
import stringWidth from 'string-width';
import { renderTable } from '../render/table.ts';
import type { Colors } from '../render/terminal-text.ts';
import { parsePage, topicOf } from './markdown.ts';

const INDENT = '  ';
/** Stands for a space at which no line breaks: of the private use area, so that it occurs in no text. */
const HARD_SPACE = '\ue000';

/** Surroundings of a text. */
export interface TerminalOptions {
  readonly colors: Colors;
  /** Most characters of a line; code and long words may exceed it. */
  readonly columns: number;
}

/** Headings stand at the left edge, everything else is indented, so that the text is readable without colours. Ends in a newline. */
export function renderForTerminal(markdown: string, options: TerminalOptions): string {
  // Every column can be wrapped, but not beyond reading.
  const isTooWide = (widths: readonly number[]) => widths.reduce((sum, width) => sum + width, 0) > 2 * options.columns;
  const lines = renderBlocks(parsePage(markdown, isTooWide), INDENT, options);
  return `${lines.join('\n').replaceAll(HARD_SPACE, ' ').trimEnd()}\n`;
}

/** Lines of blocks; each block ends with an empty line. */
function renderBlocks(tokens: readonly Token[], indent: string, options: TerminalOptions): string[] {
  return tokens.flatMap((token) => {
    const lines = renderBlock(token, indent, options);
    return lines.length === 0 ? [] : [...lines, ''];
  });
}

function renderBlock(token: Token, indent: string, options: TerminalOptions): string[] {
  const { colors, columns } = options;
  switch (token.type) {
    case 'heading':
      return [renderInline((token as Tokens.Heading).tokens, colors, colors.bold)];
    case 'code':
      // A diagram for the web.
      if ((token as Tokens.Code).lang === 'mermaid') return [];
      return (token as Tokens.Code).text.split('\n').map((line) => `${indent}${INDENT}${colors.cyan(line)}`.trimEnd());
    case 'list':
      return renderList(token as Tokens.List, indent, options);
    case 'table': {
      const { header, rows, align } = token as Tokens.Table;
      const right = new Set(align.flatMap((side, column) => (side === 'right' ? [column] : [])));
      const cells = (row: readonly Tokens.TableCell[]) => row.map(({ tokens }) => renderInline(tokens, colors));
      const head = header.map(({ tokens }) => renderInline(tokens, colors, colors.bold));
      const layout = { right, columns: columns - indent.length };
      return renderTable(head, rows.map(cells), layout).map((line) => `${indent}${line}`);
    }
    case 'blockquote':
      return renderBlocks((token as Tokens.Blockquote).tokens, `${indent}${INDENT}`, options).slice(0, -1);
    case 'hr':
      return [`${indent}${'-'.repeat(8)}`];
    case 'space':
    case 'html':
      return [];
    default: {
      const inline = (token as Tokens.Paragraph).tokens ?? [token];
      return wrap(renderInline(inline, colors), columns - indent.length).map((line) => `${indent}${line}`);
    }
  }
}

function renderList({ items, ordered, start, loose }: Tokens.List, indent: string, options: TerminalOptions): string[] {
  const blocks = items.map((item, index) => {
    const mark = ordered ? `${Number(start) + index}. ` : '- ';
    const lines = renderBlocks(item.tokens, indent + ' '.repeat(mark.length), options);
    // A tight list keeps its nested list together with its text.
    const body = loose ? lines.slice(0, -1) : lines.filter((line) => line !== '');
    return [`${indent}${mark}${(body[0] ?? '').trimStart()}`, ...body.slice(1), ...(loose ? [''] : [])];
  });
  const lines = blocks.flat();
  return loose ? lines.slice(0, -1) : lines;
}

/** @param paint colours one word */
function renderInline(tokens: readonly Token[], colors: Colors, paint: (word: string) => string = String): string {
  const words = (text: string) => text.replace(/[^\s]+/g, (word) => paint(word));
  return tokens
    .map((token): string => {
      switch (token.type) {
        case 'strong':
          return renderInline((token as Tokens.Strong).tokens, colors, (word) => paint(colors.bold(word)));
        case 'em':
          return renderInline((token as Tokens.Em).tokens, colors, (word) => paint(colors.italic(word)));
        case 'codespan': {
          const text = (token as Tokens.Codespan).text.replaceAll(' ', HARD_SPACE);
          return paint(colors.isColorSupported ? colors.cyan(text) : `\`${text}\``);
        }
        case 'link': {
          const { tokens: label, href } = token as Tokens.Link;
          const text = renderInline(label, colors, paint);
          const target = describeLink(href);
          return target === null || text === href ? text : `${text} (${target.replaceAll(' ', HARD_SPACE)})`;
        }
        case 'br':
          return '\n';
        case 'html':
          return '';
        default:
          return 'tokens' in token && token.tokens
            ? renderInline(token.tokens, colors, paint)
            : words('text' in token ? token.text.replaceAll(/\s+/g, ' ') : token.raw);
      }
    })
    .join('');
}

/** The target of a link as a reader of a terminal needs it; null for a place in the same page. */
function describeLink(href: string): string | null {
  if (href.startsWith('#')) return null;
  const topic = topicOf(href);
  return topic === null ? href : `monocore help ${topic}`;
}

function wrap(text: string, columns: number): string[] {
  return text.split('\n').flatMap((paragraph) => {
    const lines: string[] = [];
    let width = Number.POSITIVE_INFINITY;
    for (const word of paragraph.split(' ').filter(Boolean)) {
      const wordWidth = stringWidth(word);
      if (width + 1 + wordWidth > columns) {
        lines.push(word);
        width = wordWidth;
      } else {
        lines[lines.length - 1] += ` ${word}`;
        width += 1 + wordWidth;
      }
    }
    return lines;
  });
}
