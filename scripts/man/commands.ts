/** The reference of the commands, made from the table of verbs. */
import { Option } from 'commander';
import { EXIT_CODES } from '../../src/cli/exit-codes.ts';
import { GLOBAL_OPTIONS, VERBS, type VerbRow } from '../../src/cli/program.ts';

/** The commands with their options as Markdown, for `monocore(1)`. */
export function commandReference(): string {
  return `## Synopsis

\`monocore [--home DIR] COMMAND [options]\`

## Description

monocore boots the microVMs that \`monocore.toml\` declares and keeps them running. Each service is a program in a VM of
its own. The first command that needs it starts a daemon in the background, which runs the services; \`monocore help
start\` is an introduction.

## Commands

${VERBS.filter(({ load }) => load !== undefined)
  .map(describeVerb)
  .join('\n')}
## Options of every command

${[...GLOBAL_OPTIONS, new Option('-h, --help', 'print help'), new Option('-V, --version', 'print the version')].map(describeOption).join('')}
## Exit status

${EXIT_CODES.map(([code, meaning]) => `- \`${code}\`: ${meaning}\n`).join('')}
## Environment

- \`MONOCORE_HOME\`: folder of the daemon, its state and logs, where \`--home\` is not given
- \`MONOCORE_DEBUG\`: with 1, errors are printed with their stack
- \`NO_COLOR\`: print no colors
- \`PAGER\`: shows long help on a terminal, \`less\` by default
`;
}

function describeVerb({ name, alias, argument, summary, options = [] }: VerbRow): string {
  const [syntax, words] = argument ?? [];
  const usage = `monocore ${name}${options.length > 0 ? ' [options]' : ''}${syntax ? ` ${syntax}` : ''}`;
  const sentence = `${summary[0]!.toUpperCase()}${summary.slice(1)}.`;
  const aka = alias === undefined ? '' : ` Alias: \`monocore ${alias}\`.`;
  const what = words ? ` Arguments: ${words}.` : '';
  const list = options.filter(({ hidden }) => !hidden).map(describeOption);
  return `### ${usage}\n\n${sentence}${aka}${what}\n${list.length > 0 ? `\n${list.join('')}` : ''}`;
}

function describeOption({ flags, description, argChoices, defaultValue }: Option): string {
  const facts = [
    ...(argChoices ? [`one of ${argChoices.join(', ')}`] : []),
    ...(defaultValue === undefined ? [] : [`default: ${defaultValue}`]),
  ];
  return `- \`${flags}\`: ${description}${facts.length > 0 ? ` (${facts.join('; ')})` : ''}\n`;
}
