/** The parser of the command line, made from the table of verbs. */
import { Argument, Command, Option } from 'commander';
import { packageVersion } from '../lib/package-info.ts';
import { createContext } from './connection.ts';
import { EXIT_CODES } from './exit-codes.ts';
import { renderTopics } from './manual/pages.ts';
import { GLOBAL_OPTIONS, type OptionRow, VERBS, type VerbRow } from './program.ts';

/** @param onExitCode gets the exit code of the verb that ran */
export function createParser(onExitCode: (exitCode: number) => void): Command {
  const program = new Command('monocore')
    .description('Boots the microVMs that monocore.toml declares and keeps them running.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    // The table has one of its own, which knows the topics, too.
    .helpCommand(false)
    .addHelpText('after', () => `\n${renderTopics()}\n${renderExitCodes()}`)
    .configureHelp({ showGlobalOptions: true })
    // Errors are thrown and printed in one place, by main.
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  for (const row of GLOBAL_OPTIONS) program.addOption(toOption(row));

  const commands = new Map([['', program]]);
  for (const row of VERBS) {
    const space = row.name.lastIndexOf(' ');
    const parent = commands.get(row.name.slice(0, Math.max(0, space)))!;
    commands.set(row.name, addVerb(parent, row.name.slice(space + 1), row));
  }
  return program;

  function addVerb(
    parent: Command,
    name: string,
    { alias, group, argument, summary, options, load }: VerbRow,
  ): Command {
    const command = parent.command(name).description(summary);
    if (alias !== undefined) command.alias(alias);
    if (group !== undefined) command.helpGroup(`${group}:`);
    if (argument) command.addArgument(new Argument(argument.syntax, argument.summary));
    for (const option of options ?? []) command.addOption(toOption(option));
    if (!load) return command;
    // Commander passes the arguments, the options and the command.
    return command.action(async (...parameters: unknown[]) => {
      const words = Array.isArray(parameters[0]) ? (parameters[0] as string[]) : [];
      const given = command.optsWithGlobals<{ home?: string }>();
      const action = await load();
      onExitCode(await action(createContext(given.home), given as never, words, program));
    });
  }
}

function toOption({ flags, summary, choices, parse, conflicts, hidden, ...rest }: OptionRow): Option {
  const option = new Option(flags, summary);
  if (choices) option.choices(choices);
  if (parse) option.argParser(parse as (text: string, before: unknown) => unknown);
  if (conflicts !== undefined) option.conflicts(conflicts);
  if (rest.default !== undefined) option.default(rest.default);
  return hidden ? option.hideHelp() : option;
}

function renderExitCodes(): string {
  return `Exit codes:\n${EXIT_CODES.map(([code, meaning]) => `  ${String(code).padEnd(3)}  ${meaning}\n`).join('')}`;
}
