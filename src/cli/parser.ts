/** Command-line parser, generated from the table of verbs. */
import { Command } from 'commander';
import { didYouMean } from '../lib/closest.ts';
import { MonocoreError } from '../lib/errors.ts';
import { packageVersion } from '../lib/package-info.ts';
import { createContext } from './connection.ts';
import { EXIT, EXIT_CODES } from './exit-codes.ts';
import { renderTopics } from './manual/pages.ts';
import { GLOBAL_OPTIONS, VERBS } from './program.ts';

/** @param onExitCode gets the exit code of the verb that ran */
export function createParser(onExitCode: (exitCode: number) => void): Command {
  const program = new Command('monocore')
    .description('Boots the microVMs that monocore.toml declares and keeps them running.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    // The table has a `help` verb that also knows the topics.
    .helpCommand(false)
    .addHelpText('after', () => `\n${renderTopics()}\n${renderExitCodes()}`)
    .configureHelp({ showGlobalOptions: true })
    // Errors are thrown; main prints them all.
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  for (const option of GLOBAL_OPTIONS) program.addOption(option);

  const commands = new Map([['', program]]);
  for (const { name, alias, group, argument, summary, options = [], load } of VERBS) {
    const words = name.split(' ');
    const parent = commands.get(words.slice(0, -1).join(' '))!;
    if (group !== undefined) parent.commandsGroup(`${group}:`);
    const command = parent.command(words.at(-1)!).description(summary).allowExcessArguments(false);
    commands.set(name, command);
    if (alias !== undefined) command.alias(alias);
    if (argument) command.argument(...argument);
    for (const option of options) command.addOption(option);
    // Otherwise a misspelled subcommand would be reported as an excess argument.
    if (parent !== program) parent.allowExcessArguments();
    if (!load) continue;
    // Commander passes the arguments, the options and the command.
    command.action(async (...parameters: unknown[]) => {
      const names = Array.isArray(parameters[0]) ? (parameters[0] as string[]) : [];
      const [word] = command.args;
      if (word !== undefined && command.commands.length > 0) throw unknownVerb(command, word);
      const given = command.optsWithGlobals<{ home?: string }>();
      const action = await load();
      onExitCode((await action(createContext(given.home), given as never, names, program)) ?? EXIT.done);
    });
  }
  return program;
}

function unknownVerb(parent: Command, word: string): MonocoreError {
  const known = parent.commands.map((child) => child.name());
  const message = `${parent.name()} has no command "${word}"${didYouMean(word, known)}`;
  return new MonocoreError('Usage', message, { details: { hint: `commands: ${known.join(', ')}` } });
}

function renderExitCodes(): string {
  return `Exit codes:\n${EXIT_CODES.map(([code, meaning]) => `  ${String(code).padEnd(3)}  ${meaning}\n`).join('')}`;
}
