/** Parser for the Markdown of the manual. */
import { type MarkedToken, marked, type Token, type Tokens } from 'marked';

/**
 * Blocks of a page. A table that is too wide becomes a list with one item per row.
 *
 * @param isTooWide gets the length of the longest cell in each column
 */
export function parsePage(text: string, isTooWide: (widths: readonly number[]) => boolean): Token[] {
  return marked.lexer(text).flatMap((token) => {
    if (token.type !== 'table' || !isTooWide(widthsOf(token as Tokens.Table))) return [token];
    return marked.lexer((token as Tokens.Table).rows.map((row) => renderItem(row, token as Tokens.Table)).join(''));
  });
}

/** Rendering of each kind of inline text. `text` gets plain text; the others get text that is already rendered. */
export interface InlineStyle {
  strong(text: string): string;
  em(text: string): string;
  code(plain: string): string;
  link(text: string, href: string): string;
  text(plain: string): string;
  readonly lineBreak: string;
}

export function renderInline(tokens: readonly Token[], style: InlineStyle): string {
  const texts = tokens.map((token) => {
    const inline = token as MarkedToken;
    switch (inline.type) {
      case 'strong':
      case 'em':
        return style[inline.type](renderInline(inline.tokens, style));
      case 'codespan':
        return style.code(inline.text);
      case 'link':
        return style.link(renderInline(inline.tokens, style), inline.href);
      case 'br':
        return style.lineBreak;
      case 'html':
        return '';
      default:
        if ('tokens' in inline && inline.tokens) return renderInline(inline.tokens, style);
        return style.text(('text' in inline ? inline.text : inline.raw).replaceAll(/\s+/g, ' '));
    }
  });
  return texts.join('');
}

/** Topic of the page that a link points to; null for any other link. */
export function topicOf(href: string): string | null {
  return /^(?:\.\/)?([\w-]+)\.md(?:#.*)?$/.exec(href)?.[1] ?? null;
}

function widthsOf({ header, rows }: Tokens.Table): number[] {
  return header.map((_, column) => Math.max(...[header, ...rows].map((row) => row[column]!.text.length)));
}

/** Renders a row as `- FIRST: SECOND`, followed by one line for each other cell with its column head. */
function renderItem([first, second, ...others]: readonly Tokens.TableCell[], { header }: Tokens.Table): string {
  const facts = others.flatMap(({ text }, index) => (text === '' ? [] : [`${header[index + 2]!.text}: ${text}.`]));
  return `- ${first!.text}: ${second?.text ?? ''}${facts.length > 0 ? `  \n  ${facts.join(' ')}` : ''}\n`;
}
