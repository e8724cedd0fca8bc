/** The command line: its commands, options and help. */
import { Command, Option } from 'commander';
import { packageVersion } from '../lib/package-info.ts';
import { LOG_LEVELS } from '../protocol/api.ts';
import { addConfigCommands } from './config-commands.ts';
import { type CliContext, createContext } from './connection.ts';
import { EXIT_CODE_HELP } from './exit-codes.ts';
import { addImageCommands } from './image-commands.ts';
import {
  collectOption,
  parseCountOption,
  parsePatternOption,
  parseThreadsOption,
  parseTimeOption,
  parseTimeoutOption,
} from './options.ts';

/** Runs a command; a promise of its exit code. */
type Action<Options> = (context: CliContext, names: string[], options: Options) => Promise<number>;

/**
 * Builds the program. Commands are loaded when they are used, so that each starts quickly.
 *
 * @param onExitCode gets the exit code of the command that ran
 */
export function createProgram(onExitCode: (exitCode: number) => void): Command {
  const program = new Command('monocore')
    .description('Boots the microVMs that monocore.toml declares, and keeps them running.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .option('--home <dir>', 'folder of the daemon, its state and logs (default: $MONOCORE_HOME, else ~/.monocore)')
    .addHelpText('after', EXIT_CODE_HELP)
    .configureHelp({ showGlobalOptions: true })
    // Errors are thrown and printed in one place, by main.
    .configureOutput({ outputError: () => {} })
    .exitOverride();

  /** Adapts an action to commander, which passes a command's arguments, its options and the command. */
  function run<Options>(action: Action<Options>): (...parameters: unknown[]) => Promise<void> {
    return async (...parameters) => {
      const command = parameters.at(-1) as Command;
      const names = Array.isArray(parameters[0]) ? (parameters[0] as string[]) : [];
      const options = command.optsWithGlobals<Options & { home?: string }>();
      onExitCode(await action(createContext(options.home), names, options));
    };
  }

  addServiceCommands(program, run);
  addDaemonCommands(program, run);
  addImageCommands(program, run);
  addConfigCommands(program, run);
  program
    .command('doctor')
    .description('check whether this host can run microVMs')
    .option('--json', 'print JSON')
    .action(
      run<{ json?: boolean }>(async (context, _names, options) => {
        const { doctor } = await import('./commands/doctor.ts');
        return doctor(context, options);
      }),
    );
  return program;
}

/** Adapts a command's action to commander. */
export type Run = <Options>(action: Action<Options>) => (...parameters: unknown[]) => Promise<void>;

function addServiceCommands(program: Command, run: Run): void {
  const group = ['-g, --group <group>', 'all services of a group'] as const;
  const timeout = new Option('-t, --timeout <seconds>', 'how long services may take to stop by themselves').argParser(
    parseTimeoutOption,
  );

  program
    .command('start [names...]')
    .alias('up')
    .description('start services and what they depend on (default: all)')
    .option('-f, --file <path>', 'the config (default: monocore.toml, .yaml, .yml or .json)')
    .option('--profile <name>', 'services with this profile, too; may be given more than once', collectOption)
    .option('--kernel <path>', 'kernel image of the guests, in the place of what the config says')
    .option(...group)
    .option('-a, --attach', 'stay and follow the logs; Ctrl-C leaves the services running')
    .option('--watch', 'stay and start again what changes in the config; Ctrl-C leaves the services running')
    .option('--prune', 'stop services that run and that the config does not have')
    .option('--atomic', 'when one fails, put everything back as it was')
    .option('--dry-run', 'print what would be done, and do nothing')
    .action(
      run<import('./commands/start.ts').StartOptions>(async (context, names, options) => {
        const { start } = await import('./commands/start.ts');
        return start(context, names, options);
      }),
    );

  program
    .command('stop [names...]')
    .alias('down')
    .description('stop services (default: all)')
    .option(...group)
    .addOption(timeout)
    .action(
      run<import('./commands/change.ts').ChangeOptions>(async (context, names, options) => {
        const { stop } = await import('./commands/change.ts');
        return stop(context, names, options);
      }),
    );

  program
    .command('restart [names...]')
    .description('stop services and start them again (default: all)')
    .option(...group)
    .addOption(timeout)
    .action(
      run<import('./commands/change.ts').ChangeOptions>(async (context, names, options) => {
        const { restart } = await import('./commands/change.ts');
        return restart(context, names, options);
      }),
    );

  program
    .command('status [names...]')
    .alias('ps')
    .description('print a table of services (default: all)')
    .option(...group)
    .option('--json', 'print JSON')
    .action(
      run<import('./commands/status.ts').StatusOptions>(async (context, names, options) => {
        const { status } = await import('./commands/status.ts');
        return status(context, names, options);
      }),
    );

  program
    .command('logs [names...]')
    .alias('log')
    .description('print what services printed (default: all services, stdout and stderr)')
    .option('-f, --follow', 'stay and print what comes, after the last 10 records or all since --since')
    .addOption(new Option('-n, --lines <count>', 'only the last records').argParser(parseCountOption))
    .addOption(
      new Option('--since <time>', 'from then on: a time with its zone, 2026-11-23T08:00:00Z, or 10m ago').argParser(
        parseTimeOption,
      ),
    )
    .addOption(
      new Option('--until <time>', 'up to then; with -f it ends when that has passed').argParser(parseTimeOption),
    )
    .addOption(
      new Option('--grep <pattern>', 'records whose text matches, a JavaScript regular expression').argParser(
        parsePatternOption,
      ),
    )
    .option('-i, --ignore-case', 'the pattern stands for upper and lower case')
    .option('--json', 'print JSON, an object a line')
    .option('--stdout', 'the standard output')
    .option('--stderr', 'the standard error')
    .option('--console', "what the VM and the guest's kernel printed")
    .action(
      run<import('./commands/logs.ts').LogsOptions>(async (context, names, options) => {
        const { logs } = await import('./commands/logs.ts');
        return logs(context, names, options);
      }),
    );

  program
    .command('remove [names...]')
    .alias('rm')
    .description('stop services, forget them, and delete their logs (default: all)')
    .option(...group)
    .action(
      run<import('./commands/change.ts').ChangeOptions>(async (context, names, options) => {
        const { remove } = await import('./commands/change.ts');
        return remove(context, names, options);
      }),
    );
}

function addDaemonCommands(program: Command, run: Run): void {
  const daemon = program.command('daemon').description('the process that runs the services');
  const logLevel = () =>
    new Option('--log-level <level>', "how much the daemon's own log says").choices(LOG_LEVELS).default('info');
  const logWorkers = () =>
    new Option('--log-workers <n>', 'threads that write logs').argParser(parseThreadsOption).default(1);
  const leaveRunning = () => new Option('--leave-running', 'leave the services running at a signal');

  daemon
    .command('run')
    .description('run the daemon in the foreground, for systemd and the like')
    .addOption(logLevel())
    .addOption(logWorkers())
    .addOption(leaveRunning())
    .addOption(new Option('--background', 'report a failed start in a form for programs').hideHelp())
    .action(
      run<import('./commands/daemon-run.ts').DaemonRunOptions>(async (context, _names, options) => {
        const { runDaemonCommand } = await import('./commands/daemon-run.ts');
        return runDaemonCommand(context, options);
      }),
    );

  daemon
    .command('stop')
    .description('stop all services and end the daemon')
    .option('--leave-running', 'leave the VMs running; the next daemon takes them over')
    .action(
      run<{ leaveRunning?: boolean }>(async (context, _names, options) => {
        const { daemonStop } = await import('./commands/daemon-control.ts');
        return daemonStop(context, options);
      }),
    );

  daemon
    .command('restart')
    .description('replace the daemon by this version of monocore; its services run on')
    .action(
      run(async (context) => {
        const { daemonRestart } = await import('./commands/daemon-restart.ts');
        return daemonRestart(context);
      }),
    );

  daemon
    .command('install')
    .description('write a systemd unit that runs the daemon')
    .addOption(new Option('--user', 'for your own services (default, except for root)').conflicts('system'))
    .option('--system', 'for the host (default for root)')
    .option('--print', 'print the unit and write nothing')
    .option('--force', 'overwrite a unit that monocore has not written')
    .addOption(logLevel())
    .addOption(logWorkers())
    .addOption(leaveRunning())
    .action(
      run<import('./commands/daemon-install.ts').DaemonInstallOptions>(async (context, _names, options) => {
        const { daemonInstall } = await import('./commands/daemon-install.ts');
        return daemonInstall(context, options);
      }),
    );

  daemon
    .command('status')
    .description('print what the daemon is')
    .option('--json', 'print JSON')
    .action(
      run<{ json?: boolean }>(async (context, _names, options) => {
        const { daemonStatus } = await import('./commands/daemon-control.ts');
        return daemonStatus(context, options);
      }),
    );
}
