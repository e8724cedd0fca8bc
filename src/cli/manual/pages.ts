/**
 * Pages of the manual: `src/manual/<topic>.md`. The first line is the title, `# Title`; a line `<!-- insert: NAME -->`
 * is replaced by a part generated from a table of the program.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { padderOf } from '../render/terminal-text.ts';

const FOLDER = fileURLToPath(new URL('../../manual/', import.meta.url));
/** Topic that newcomers should read first. */
const FIRST = 'start';

/** Generated parts, as Markdown. */
const PARTS: Readonly<Record<string, () => Promise<string>>> = {
  config: async () => (await import('../../config/reference.ts')).configReference(),
  states: async () => (await import('../../manual/states.ts')).renderStates(),
};

interface Page {
  /** Word after `monocore help`. */
  readonly topic: string;
  readonly title: string;
}

/** Every page: the one for newcomers first, the others by name. */
export function listPages(): Page[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.md'))
    .map((name) => name.slice(0, -'.md'.length))
    .sort((left, right) => Number(right === FIRST) - Number(left === FIRST) || (left < right ? -1 : 1))
    .map((topic) => ({ topic, title: /^# (.+)/.exec(readSource(topic))?.[1] ?? topic }));
}

/** The page as Markdown, with its title and its generated parts. */
export async function readPage(topic: string): Promise<string> {
  const pieces = readSource(topic).split(/^<!-- insert: (.+) -->$/m);
  const texts = pieces.map((piece, index) => (index % 2 === 0 ? piece : PARTS[piece]!()));
  return (await Promise.all(texts)).join('');
}

function readSource(topic: string): string {
  return readFileSync(`${FOLDER}${topic}.md`, 'utf8');
}

/** The topics and their titles, for the help. Ends in a newline. */
export function renderTopics(): string {
  const pages = listPages();
  const pad = padderOf(pages.map(({ topic }) => topic));
  const lines = pages.map(({ topic, title }) => `  ${pad(topic)}  ${title}\n`);
  return `Manual (monocore help TOPIC):\n${lines.join('')}`;
}
