/** The commands on configs. */
import { type Command, Option } from 'commander';
import { collectOption } from './options.ts';
import type { Run } from './program.ts';

/** Adds `config` and `init`. */
export function addConfigCommands(program: Command, run: Run): void {
  const file = ['-f, --file <path>', 'the config (default: monocore.toml, .yaml, .yml or .json)'] as const;
  const profile = ['--profile <name>', 'services with this profile, too; may be given more than once'] as const;
  const config = program.command('config').description('look at a config, without a daemon');

  config
    .command('check')
    .description('say whether it is valid, or all that is wrong with it')
    .option(...file)
    .option(...profile, collectOption)
    .action(
      run<import('./commands/config.ts').ConfigOptions>(async (context, _names, options) => {
        const { checkConfig } = await import('./commands/config.ts');
        return checkConfig(context, options);
      }),
    );

  config
    .command('show')
    .description('print what it comes to, with all that it leaves out')
    .option(...file)
    .option(...profile, collectOption)
    .addOption(
      new Option('--format <language>', 'of what is printed').choices(['toml', 'yaml', 'json']).default('toml'),
    )
    .option('--reveal', 'show values of variables that look like secrets')
    .action(
      run<import('./commands/config.ts').ConfigShowOptions>(async (context, _names, options) => {
        const { showConfig } = await import('./commands/config.ts');
        return showConfig(context, options);
      }),
    );

  config
    .command('schema')
    .description('print a JSON schema of configs, for editors')
    .action(
      run(async (context) => {
        const { printSchema } = await import('./commands/config.ts');
        return printSchema(context);
      }),
    );

  program
    .command('init')
    .description('write a first config')
    .option('-f, --file <path>', 'where (default: monocore.toml)')
    .action(
      run<{ file?: string }>(async (context, _names, options) => {
        const { init } = await import('./commands/init.ts');
        return init(context, options);
      }),
    );
}
