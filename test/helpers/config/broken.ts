/**
 * Configs that are not valid, with their problems: `fixtures/broken-configs/<subject>.md` holds a table of cases.
 *
 * A case is a heading with the name of a file, a block with its text and a block with the problems. `crlf` behind the
 * language of a block means that its lines end as on Windows.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Config that is not valid. */
export interface BrokenConfig {
  /** Name of its file, whose extension is its language. */
  readonly name: string;
  readonly text: string;
  /** Renders all problems as users see them. */
  readonly expected: string;
}

const FOLDER = new URL('../../fixtures/broken-configs/', import.meta.url);
const CASE =
  /^## (?<name>\S+)\n\n```(?<language>\w+)(?<crlf> crlf)?\n(?<text>(?:.*\n)*?)```\n\n```text\n(?<expected>(?:.*\n)*?)```\n/gm;

/** Subjects, by the names of their files without extension. */
export const SUBJECTS = readdirSync(FOLDER).map((file) => file.replace(/\.md$/, ''));

/** Cases of a subject. */
export function readCases(subject: string): BrokenConfig[] {
  return [...readSubject(subject).matchAll(CASE)].map(({ groups: { name, crlf, text, expected } = {} }) => ({
    name: name!,
    text: crlf === undefined ? text! : text!.replaceAll('\n', '\r\n'),
    expected: expected!,
  }));
}

/** Writes the problems of each case, by its name, in the place of those expected until now. */
export function updateExpected(subject: string, problems: ReadonlyMap<string, string>): void {
  const updated = readSubject(subject).replace(CASE, (whole, name: string) => {
    const end = whole.lastIndexOf('```text\n') + '```text\n'.length;
    return `${whole.slice(0, end)}${problems.get(name)}\`\`\`\n`;
  });
  writeFileSync(fileOf(subject), updated);
}

/** Number of headings in a subject's file: more than its cases, when one of them is not written as it should be. */
export function countHeadings(subject: string): number {
  return [...readSubject(subject).matchAll(/^## /gm)].length;
}

function readSubject(subject: string): string {
  return readFileSync(fileOf(subject), 'utf8');
}

function fileOf(subject: string): URL {
  return new URL(`${subject}.md`, FOLDER);
}
