/** Markdown of the manual, parsed. */
import { marked, type Token, type Tokens } from 'marked';

/**
 * The blocks of a page. A table that is too wide becomes a list with an item for each row.
 *
 * @param isTooWide decides by the characters of the longest cell of each column
 */
export function parsePage(text: string, isTooWide: (widths: readonly number[]) => boolean): Token[] {
  return marked.lexer(text).flatMap((token) => {
    if (token.type !== 'table' || !isTooWide(widthsOf(token as Tokens.Table))) return [token];
    return marked.lexer((token as Tokens.Table).rows.map((row) => renderItem(row, token as Tokens.Table)).join(''));
  });
}

/** Topic of the page that a link leads to; null for a link to anything else. */
export function topicOf(href: string): string | null {
  return /^(?:\.\/)?([\w-]+)\.md(?:#.*)?$/.exec(href)?.[1] ?? null;
}

function widthsOf({ header, rows }: Tokens.Table): number[] {
  return header.map((_, column) => Math.max(...[header, ...rows].map((row) => row[column]!.text.length)));
}

/** `- FIRST: SECOND`, and on a line of their own the other cells with their heads. */
function renderItem([first, second, ...others]: readonly Tokens.TableCell[], { header }: Tokens.Table): string {
  const facts = others.flatMap(({ text }, index) => (text === '' ? [] : [`${header[index + 2]!.text}: ${text}.`]));
  return `- ${first!.text}: ${second?.text ?? ''}${facts.length > 0 ? `  \n  ${facts.join(' ')}` : ''}\n`;
}
