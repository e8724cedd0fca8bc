/** Every example of the README and the manual works: configs are valid, commands parse. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { listPages } from '../../src/cli/manual/pages.ts';
import { createParser } from '../../src/cli/parser.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { ConfigProblem } from '../../src/config/problems.ts';
import { MonocoreError } from '../../src/lib/errors.ts';
import { makeTempDir } from '../helpers/temp.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');

const PAGES = ['README.md', ...listPages().map(({ topic }) => `src/manual/${topic}.md`)];

/** Fenced code of a page, with the language behind the fence. */
function examplesIn(page: string): { language: string; code: string }[] {
  return [...read(page).matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)].map(([, language = '', code = '']) => ({
    language,
    code,
  }));
}

/** Command lines of monocore in shell examples and transcripts, without the comment, redirection or pipe behind them. */
function commandsIn(page: string): string[] {
  return examplesIn(page)
    .filter(({ language }) => language === 'sh' || language === 'console')
    .flatMap(({ language, code }) => code.split('\n').filter((line) => language === 'sh' || line.startsWith('$ ')))
    .flatMap((line) => line.replace(/^\$ /, '').split('&&'))
    .map((line) => line.replace(/\s(#|>|\|(?=\s)).*$/, '').trim())
    .filter((line) => /^(npx )?monocore\b/.test(line));
}

/** Words of a command line; double quotes keep spaces. */
function wordsOf(line: string): string[] {
  return [...line.replace(/^(npx )?monocore\b/, '').matchAll(/"([^"]*)"|(\S+)/g)].map(
    ([, quoted, word]) => quoted ?? word!,
  );
}

/** Replaces every action of a parser, so that parsing a command line does nothing. */
function disarm(command: Command): Command {
  for (const child of command.commands) disarm(child).action(() => {});
  return command;
}

/** Problems of a config, except files of the host that an example names and this host lacks. */
async function problemsOf(path: string): Promise<string[]> {
  try {
    await loadConfig(path);
    return [];
  } catch (error) {
    if (!(error instanceof MonocoreError) || error.code !== 'ConfigInvalid') throw error;
    const messages = (error.details as ConfigProblem[]).map(({ message }) => message);
    return messages.filter((message) => !message.startsWith('there is no file'));
  }
}

for (const page of PAGES) {
  test(`the configs of ${page} are valid`, async (t) => {
    const dir = await makeTempDir(t);
    for (const { language, code } of examplesIn(page)) {
      if (!['toml', 'yaml', 'json'].includes(language)) continue;
      const path = join(dir, `monocore.${language}`);
      await writeFile(path, code);
      assert.deepEqual(await problemsOf(path), [], code);
    }
  });

  test(`the commands of ${page} parse`, async () => {
    for (const line of commandsIn(page)) {
      await disarm(createParser(() => {})).parseAsync(['node', 'monocore', ...wordsOf(line)]);
    }
  });
}

test('a command that does not exist, an option that does not, and a config with a problem would be noticed', async (t) => {
  const parser = () => disarm(createParser(() => {}));
  await assert.rejects(parser().parseAsync(['node', 'monocore', 'strat']));
  await assert.rejects(parser().parseAsync(['node', 'monocore', 'start', '--dry']));
  assert.deepEqual(wordsOf('npx monocore logs --grep "a b" -i'), ['logs', '--grep', 'a b', '-i']);
  const path = join(await makeTempDir(t), 'monocore.toml');
  await writeFile(path, '[[service]]\nname = "web"\ncomand = "true"\n');
  assert.match((await problemsOf(path)).join(), /unknown key/);
});

test('README has at most 1,500 words', () => {
  assert.ok(read('README.md').split(/\s+/).filter(Boolean).length <= 1500);
});

test('CONTRIBUTING names files that exist', () => {
  const paths = [...read('CONTRIBUTING.md').matchAll(/`((?:src|workers|test|scripts)\/[^`\s<*]+)`/g)].map(
    ([, path]) => path!,
  );
  assert.ok(paths.length > 30);
  assert.deepEqual(
    paths.filter((path) => !existsSync(join(root, path))),
    [],
  );
});
