/** Pages of the manual: `src/manual/<topic>.md`, each with its title as the first line, `# Title`. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../../manual/', import.meta.url));
/** The page that a newcomer reads first. */
const FIRST = 'start';

/** A page of the manual. */
export interface Page {
  /** Word after `monocore help`. */
  readonly topic: string;
  readonly title: string;
  /** Markdown, with the title. */
  readonly text: string;
}

/** Every page, the newcomer's first, then by name. */
export function readPages(): Page[] {
  const topics = readdirSync(FOLDER)
    .filter((name) => name.endsWith('.md'))
    .map((name) => name.slice(0, -'.md'.length))
    .sort((left, right) => Number(right === FIRST) - Number(left === FIRST) || (left < right ? -1 : 1));
  return topics.map((topic) => {
    const text = readFileSync(`${FOLDER}${topic}.md`, 'utf8');
    return { topic, title: /^# (.+)/.exec(text)?.[1] ?? topic, text };
  });
}

/** The topics with their titles, for the help. Ends in a newline. */
export function renderTopics(): string {
  const pages = readPages();
  const width = Math.max(...pages.map(({ topic }) => topic.length));
  const lines = pages.map(({ topic, title }) => `  ${topic.padEnd(width)}  ${title}\n`);
  return `Manual (monocore help TOPIC):\n${lines.join('')}`;
}
