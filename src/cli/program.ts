/**
 * The command line as a table with one row per verb. The parser, the help and the manual pages are generated from it.
 * To add a verb, add a row here and a file in `commands/`.
 *
 * Long because it lists each verb with its options.
 */
import { type Command, Option } from 'commander';
import { LOG_LEVELS } from '../protocol/http.ts';
import type { CliContext } from './connection.ts';
import {
  collectOption,
  parseCountOption,
  parsePatternOption,
  parseSizeOption,
  parseThreadsOption,
  parseTimeOption,
  parseTimeoutOption,
} from './options.ts';

/**
 * Runs a verb.
 *
 * @param options keyed by their long names in camel case
 * @param words the arguments
 * @param program the parser, for the help
 * @returns the exit code; undefined means success
 */
type Action = (
  context: CliContext,
  options: never,
  words: string[],
  program: Command,
) => Promise<number> | Promise<void>;

export interface VerbRow {
  /** Name, such as `start`, or `daemon run` for a subcommand, whose parent must come before it. */
  readonly name: string;
  readonly alias?: string;
  /** Heading in the help above this verb and those after it. */
  readonly group?: string;
  /** In commander's notation: `[names...]`. */
  readonly argument?: readonly [syntax: string, summary: string];
  readonly summary: string;
  readonly options?: readonly Option[];
  /**
   * Loads the action only when the verb is used, so that every command starts quickly. Undefined for a verb that only
   * has subcommands.
   */
  readonly load?: () => Promise<Action>;
}

/** Declares an option. @param parse reads the value; `before` is the previous value of a repeated option */
function option<T>(flags: string, summary: string, parse?: (text: string, before: T) => T): Option {
  const made = new Option(flags, summary);
  return parse ? made.argParser(parse) : made;
}

const SERVICES = ['[names...]', 'services; without names, --group and --all, those of the project'] as const;

const GROUP = option('-g, --group <group>', 'all services of a group');
const FILE = option(
  '-f, --file <path>',
  'the config (default: monocore.toml, .yaml, .yml or .json, here or in a folder above)',
);
const ALL = option('--all', 'all services of the home, of every project');
const PROFILE = option('--profile <name>', 'include services with this profile; may be repeated', collectOption);
const TIMEOUT = option('-t, --timeout <seconds>', 'time for services to stop by themselves', parseTimeoutOption);
const JSON_OUTPUT = option('--json', 'print JSON');
const MAX_IMAGE_SIZE = option(
  '--max-image-size <size>',
  'largest compressed size of an image (default: 16GiB)',
  parseSizeOption,
);
/** Settings of a foreground daemon, also accepted by the unit that runs one. */
const DAEMON_SETTINGS = [
  option('--log-level <level>', "level of the daemon's own log").choices(LOG_LEVELS).default('info'),
  option('--log-workers <n>', 'threads that write logs', parseThreadsOption).default(1),
  option('--leave-running', 'leave the services running when a signal ends the daemon'),
];

/** Options that every verb accepts. */
export const GLOBAL_OPTIONS = [
  option('--home <dir>', 'folder of the daemon, its state and logs (default: $MONOCORE_HOME, else ~/.monocore)'),
];

export const VERBS: readonly VerbRow[] = [
  {
    name: 'start',
    alias: 'up',
    group: 'Services',
    argument: ['[names...]', 'services; without names and --group, all of the config'],
    summary: 'start services and their dependencies',
    options: [
      FILE,
      PROFILE,
      option('--kernel <path>', "kernel image of the guests, instead of the config's"),
      GROUP,
      option('-a, --attach', 'follow the logs afterwards; Ctrl-C leaves the services running'),
      option('--watch', 'stay and apply every change of the config; Ctrl-C leaves the services running'),
      option('--prune', 'stop running services of the project that the config does not declare'),
      option('--take-over', 'move services of other projects that have the same names into this one'),
      option('--atomic', 'if a service fails, restore what ran before'),
      option('--dry-run', 'print what would be done, without doing it'),
    ],
    load: async () => (await import('./commands/start.ts')).start,
  },
  {
    name: 'stop',
    alias: 'down',
    argument: SERVICES,
    summary: 'stop services',
    options: [FILE, GROUP, ALL, TIMEOUT],
    load: async () => (await import('./commands/change.ts')).stop,
  },
  {
    name: 'restart',
    argument: SERVICES,
    summary: 'stop services and start them again',
    options: [FILE, GROUP, ALL, TIMEOUT],
    load: async () => (await import('./commands/change.ts')).restart,
  },
  {
    name: 'status',
    alias: 'ps',
    argument: SERVICES,
    summary: 'list services with their state, ports and usage',
    options: [FILE, GROUP, ALL, JSON_OUTPUT],
    load: async () => (await import('./commands/status.ts')).status,
  },
  {
    name: 'logs',
    alias: 'log',
    argument: ['[names...]', 'services; without names and --all, those of the project'],
    summary: 'print the output of services (default: stdout and stderr)',
    options: [
      option('--file <path>', 'the config of the project'),
      ALL,
      option('-f, --follow', 'print new records as they arrive, after the last 10 or all since --since'),
      option('-n, --lines <count>', 'only the last records', parseCountOption),
      option(
        '--since <time>',
        'records from this time on: 2026-11-23T08:00:00Z, or 10m for ten minutes ago',
        parseTimeOption,
      ),
      option('--until <time>', 'records up to this time; ends -f when it has passed', parseTimeOption),
      option('--grep <pattern>', 'records whose text matches a JavaScript regular expression', parsePatternOption),
      option('-i, --ignore-case', 'ignore case in the pattern'),
      option('--json', 'print JSON, one object per line'),
      option('--stdout', 'standard output'),
      option('--stderr', 'standard error'),
      option('--console', "console of the VM and of the guest's kernel"),
    ],
    load: async () => (await import('./commands/logs.ts')).logs,
  },
  {
    name: 'remove',
    alias: 'rm',
    argument: SERVICES,
    summary: 'stop services, forget them and delete their logs and disks',
    options: [FILE, GROUP, ALL, option('-y, --yes', 'do not ask')],
    load: async () => (await import('./commands/change.ts')).remove,
  },

  {
    name: 'pull',
    group: 'Images',
    argument: ['<images...>', 'names of images: nginx:1.27, ghcr.io/owner/app'],
    summary: 'pull images from their registries',
    options: [
      option('--insecure', 'plain HTTP for registries on this host'),
      option(
        '--insecure-registry <host>',
        'plain HTTP for this registry (host[:port]), wherever it is; may be repeated',
        collectOption,
      ),
      MAX_IMAGE_SIZE,
    ],
    load: async () => (await import('./commands/pull.ts')).pull,
  },
  {
    name: 'images',
    summary: 'list images that were pulled or loaded',
    options: [JSON_OUTPUT],
    load: async () => (await import('./commands/images.ts')).listImages,
  },
  {
    name: 'images rm',
    argument: ['<images...>', 'names or digests of images'],
    summary: 'remove images',
    load: async () => (await import('./commands/images.ts')).removeImages,
  },
  {
    name: 'images prune',
    summary: 'remove images without a name, unused root file systems and unfinished downloads',
    load: async () => (await import('./commands/images.ts')).pruneImages,
  },
  {
    name: 'images load',
    argument: ['<files...>', 'docker-archive or OCI archive files'],
    summary: 'load images from archives',
    options: [option('--name <name>', 'name of the only image of the archive'), MAX_IMAGE_SIZE],
    load: async () => (await import('./commands/images.ts')).loadImages,
  },

  { name: 'config', group: 'Config', summary: 'check and print configs, without a daemon' },
  {
    name: 'config check',
    summary: 'check a config and report every problem',
    options: [FILE, PROFILE],
    load: async () => (await import('./commands/config.ts')).checkConfig,
  },
  {
    name: 'config show',
    summary: 'print the resolved config, defaults included',
    options: [
      FILE,
      PROFILE,
      option('--format <language>', 'language of the output').choices(['toml', 'yaml', 'json']).default('toml'),
      option('--reveal', 'show values of variables that look like secrets'),
    ],
    load: async () => (await import('./commands/config.ts')).showConfig,
  },
  {
    name: 'config schema',
    summary: 'print the JSON Schema of configs, for editors',
    load: async () => (await import('./commands/config.ts')).printSchema,
  },
  {
    name: 'init',
    summary: 'write a first config, or print the config of a log shipper',
    options: [
      option('-f, --file <path>', 'file to write (default: monocore.toml)'),
      option('--shipper [name]', "print a shipper's config for this home's logs; without name, the shippers").conflicts(
        'file',
      ),
    ],
    load: async () => (await import('./commands/init.ts')).init,
  },

  {
    name: 'setup',
    group: 'Host and daemon',
    summary: 'prepare this host: QEMU, busybox, a kernel for the guests',
    load: async () => (await import('./commands/setup.ts')).setup,
  },
  {
    name: 'doctor',
    summary: 'check whether this host can run microVMs',
    options: [JSON_OUTPUT],
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  { name: 'daemon', summary: 'manage the process that runs the services' },
  {
    name: 'daemon run',
    summary: 'run the daemon in the foreground, for systemd and other service managers',
    options: [...DAEMON_SETTINGS, option('--background', 'report a failed start as JSON, for programs').hideHelp()],
    load: async () => (await import('./commands/daemon/run.ts')).daemonRun,
  },
  {
    name: 'daemon stop',
    summary: 'stop all services and end the daemon',
    options: [option('--leave-running', 'leave the VMs running; the next daemon adopts them')],
    load: async () => (await import('./commands/daemon/stop.ts')).daemonStop,
  },
  {
    name: 'daemon restart',
    summary: 'replace the daemon with this version of monocore; services keep running',
    load: async () => (await import('./commands/daemon/restart.ts')).daemonRestart,
  },
  {
    name: 'daemon install',
    summary: 'write a systemd unit that runs the daemon',
    options: [
      option('--user', 'a unit of your user (default, except for root)').conflicts('system'),
      option('--system', 'a unit of the host (default for root)'),
      option('--print', 'print the unit and write nothing'),
      option('--force', 'overwrite a unit that monocore did not write'),
      ...DAEMON_SETTINGS,
    ],
    load: async () => (await import('./commands/daemon/install.ts')).daemonInstall,
  },
  {
    name: 'daemon status',
    summary: "show the daemon's version, process and threads",
    options: [JSON_OUTPUT],
    load: async () => (await import('./commands/daemon/status.ts')).daemonStatus,
  },
  {
    name: 'help',
    group: 'Help',
    argument: ['[topic...]', 'a topic of the manual, or a command'],
    summary: 'show the manual',
    load: async () => (await import('./commands/help.ts')).help,
  },
];
