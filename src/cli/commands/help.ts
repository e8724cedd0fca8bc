/** `monocore help`: the commands and the topics, a page of the manual, or the help of one command. */
import type { Command } from 'commander';
import { didYouMean } from '../../lib/closest.ts';
import { MonocoreError } from '../../lib/errors.ts';
import type { CliContext } from '../connection.ts';
import { listPages, readPage } from '../manual/pages.ts';
import { writePaged } from '../render/pager.ts';
import { textOptionsFor } from '../render/terminal-text.ts';

/** Widest text that is easy to read; files and pipes get the width of a usual terminal. */
const MAX_COLUMNS = 100;
const PIPE_COLUMNS = 80;

/**
 * Shows the help of `words`: a topic, or a command such as `daemon run`. If a word names both, the usage of the command
 * comes first.
 *
 * @throws MonocoreError `Usage` if there is no such help
 */
export async function help(
  { stdout, colors }: CliContext,
  _options: unknown,
  words: readonly string[],
  program: Command,
): Promise<void> {
  const command = findCommand(program, words);
  const topic = command === null ? words.join(' ') : command.name();
  const isPage = words.length === 1 && listPages().some((page) => page.topic === topic);
  if (isPage) {
    const { renderForTerminal } = await import('../manual/terminal.ts');
    const columns = stdout.isTTY ? Math.min(MAX_COLUMNS, textOptionsFor(stdout).columns) : PIPE_COLUMNS;
    const usage = command === null ? '' : `${command.helpInformation()}\n`;
    await writePaged(stdout, usage + renderForTerminal(await readPage(topic), { colors, columns }));
  } else if (command === null) {
    throw noHelp(program, words.join(' '));
  } else {
    command.outputHelp();
  }
}

/** Command that `words` name, directly or by an alias; the program itself for no words; null if there is none. */
function findCommand(program: Command, words: readonly string[]): Command | null {
  let command: Command | undefined = program;
  for (const word of words) {
    command = command.commands.find((child) => child.name() === word || child.aliases().includes(word));
    if (!command) return null;
  }
  return command;
}

function noHelp(program: Command, wanted: string): MonocoreError {
  const topics = listPages().map(({ topic }) => topic);
  const commands = program.commands.flatMap((command) => [
    command.name(),
    ...command.commands.map((child) => `${command.name()} ${child.name()}`),
  ]);
  return new MonocoreError('Usage', `there is no help on "${wanted}"${didYouMean(wanted, [...topics, ...commands])}`, {
    details: { hint: `topics: ${topics.join(', ')}; commands: monocore help` },
  });
}
