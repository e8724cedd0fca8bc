/**
 * The command line as a table: one row for each verb. The parser, the help and the manual pages are made from it. A new
 * verb is a row here and its file in `commands/`.
 * Long because each verb with its options is a row.
 */
import type { Command } from 'commander';
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
 * @param options by their long names in camel case
 * @param words the arguments
 * @param program the parser, for the help
 * @returns the exit code
 */
type Action = (context: CliContext, options: never, words: string[], program: Command) => Promise<number>;

/** An option. Flags are in commander's notation: `-f, --file <path>`. */
export interface OptionRow {
  readonly flags: string;
  readonly summary: string;
  readonly choices?: readonly string[];
  readonly default?: string | number;
  /** Reads the value; `before` is the value of the same option so far. Throws commander's InvalidArgumentError. */
  readonly parse?: (text: string, before?: never) => unknown;
  /** Name of an option that excludes this one. */
  readonly conflicts?: string;
  readonly hidden?: boolean;
}

/** A verb. */
export interface VerbRow {
  /** `start`; `daemon run` for a verb of a verb, which comes after its parent. */
  readonly name: string;
  readonly alias?: string;
  /** Heading of the help under which the verb stands; of a verb of a verb, the parent's counts. */
  readonly group?: 'Services' | 'Images' | 'Config' | 'Host and daemon' | 'Help';
  /** In commander's notation: `[names...]`. */
  readonly argument?: { readonly syntax: string; readonly summary: string };
  readonly summary: string;
  readonly options?: readonly OptionRow[];
  /** Loads the action, only when the verb is used, so that every command starts quickly. Without it: a parent only. */
  readonly load?: () => Promise<Action>;
}

const SERVICES = { syntax: '[names...]', summary: 'services; without names and --group, all' };

const GROUP: OptionRow = { flags: '-g, --group <group>', summary: 'all services of a group' };
const FILE: OptionRow = {
  flags: '-f, --file <path>',
  summary: 'the config (default: monocore.toml, .yaml, .yml or .json)',
};
const PROFILE: OptionRow = {
  flags: '--profile <name>',
  summary: 'include services with this profile; may be repeated',
  parse: collectOption,
};
const TIMEOUT: OptionRow = {
  flags: '-t, --timeout <seconds>',
  summary: 'time that services get to stop by themselves',
  parse: parseTimeoutOption,
};
const JSON_OUTPUT: OptionRow = { flags: '--json', summary: 'print JSON' };
const MAX_IMAGE_SIZE: OptionRow = {
  flags: '--max-image-size <size>',
  summary: 'largest compressed size of an image (default: 16GiB)',
  parse: parseSizeOption,
};
/** Options of a daemon that runs in the foreground, and of the unit that runs one. */
const DAEMON_SETTINGS: readonly OptionRow[] = [
  { flags: '--log-level <level>', summary: "level of the daemon's own log", choices: LOG_LEVELS, default: 'info' },
  { flags: '--log-workers <n>', summary: 'threads that write logs', parse: parseThreadsOption, default: 1 },
  { flags: '--leave-running', summary: 'leave the services running when a signal ends the daemon' },
];

/** Options of every verb. */
export const GLOBAL_OPTIONS: readonly OptionRow[] = [
  {
    flags: '--home <dir>',
    summary: 'folder of the daemon, its state and logs (default: $MONOCORE_HOME, else ~/.monocore)',
  },
];

export const VERBS: readonly VerbRow[] = [
  {
    name: 'start',
    alias: 'up',
    group: 'Services',
    argument: SERVICES,
    summary: 'start services and their dependencies',
    options: [
      FILE,
      PROFILE,
      { flags: '--kernel <path>', summary: "kernel image of the guests, instead of the config's" },
      GROUP,
      { flags: '-a, --attach', summary: 'follow the logs afterwards; Ctrl-C leaves the services running' },
      { flags: '--watch', summary: 'stay and apply every change of the config; Ctrl-C leaves the services running' },
      { flags: '--prune', summary: 'stop running services that the config does not declare' },
      { flags: '--atomic', summary: 'if a service fails, restore what ran before' },
      { flags: '--dry-run', summary: 'print what would be done, and do nothing' },
    ],
    load: async () => (await import('./commands/start.ts')).start,
  },
  {
    name: 'stop',
    alias: 'down',
    group: 'Services',
    argument: SERVICES,
    summary: 'stop services',
    options: [GROUP, TIMEOUT],
    load: async () => (await import('./commands/change.ts')).stop,
  },
  {
    name: 'restart',
    group: 'Services',
    argument: SERVICES,
    summary: 'stop services and start them again',
    options: [GROUP, TIMEOUT],
    load: async () => (await import('./commands/change.ts')).restart,
  },
  {
    name: 'status',
    alias: 'ps',
    group: 'Services',
    argument: SERVICES,
    summary: 'list services with their state and usage',
    options: [GROUP, JSON_OUTPUT],
    load: async () => (await import('./commands/status.ts')).status,
  },
  {
    name: 'logs',
    alias: 'log',
    group: 'Services',
    argument: { syntax: '[names...]', summary: 'services; without names, all' },
    summary: 'print the output of services (default: stdout and stderr)',
    options: [
      {
        flags: '-f, --follow',
        summary: 'print new records as they arrive, after the last 10 or all since --since',
      },
      { flags: '-n, --lines <count>', summary: 'only the last records', parse: parseCountOption },
      {
        flags: '--since <time>',
        summary: 'records from this time on: 2026-11-23T08:00:00Z, or 10m for ten minutes ago',
        parse: parseTimeOption,
      },
      {
        flags: '--until <time>',
        summary: 'records up to this time; ends -f when it has passed',
        parse: parseTimeOption,
      },
      {
        flags: '--grep <pattern>',
        summary: 'records whose text matches a JavaScript regular expression',
        parse: parsePatternOption,
      },
      { flags: '-i, --ignore-case', summary: 'ignore case in the pattern' },
      { flags: '--json', summary: 'print JSON, one object per line' },
      { flags: '--stdout', summary: 'standard output' },
      { flags: '--stderr', summary: 'standard error' },
      { flags: '--console', summary: "console of the VM and of the guest's kernel" },
    ],
    load: async () => (await import('./commands/logs.ts')).logs,
  },
  {
    name: 'remove',
    alias: 'rm',
    group: 'Services',
    argument: SERVICES,
    summary: 'stop services, forget them and delete their logs',
    options: [GROUP],
    load: async () => (await import('./commands/change.ts')).remove,
  },

  {
    name: 'pull',
    group: 'Images',
    argument: { syntax: '<images...>', summary: 'names of images: nginx:1.27, ghcr.io/owner/app' },
    summary: 'pull images from their registries',
    options: [
      { flags: '--insecure', summary: 'plain HTTP for registries on this host' },
      {
        flags: '--insecure-registry <host>',
        summary: 'plain HTTP for this registry (host[:port]), wherever it is; may be repeated',
        parse: collectOption,
      },
      MAX_IMAGE_SIZE,
    ],
    load: async () => (await import('./commands/pull.ts')).pull,
  },
  {
    name: 'images',
    group: 'Images',
    summary: 'list images that were pulled or loaded',
    options: [JSON_OUTPUT],
    load: async () => (await import('./commands/images.ts')).listImages,
  },
  {
    name: 'images rm',
    argument: { syntax: '<images...>', summary: 'names or digests of images' },
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
    argument: { syntax: '<files...>', summary: 'docker-archive or OCI archive files' },
    summary: 'load images from archives',
    options: [{ flags: '--name <name>', summary: 'name of the only image of the archive' }, MAX_IMAGE_SIZE],
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
      {
        flags: '--format <language>',
        summary: 'language of the output',
        choices: ['toml', 'yaml', 'json'],
        default: 'toml',
      },
      { flags: '--reveal', summary: 'show values of variables that look like secrets' },
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
    group: 'Config',
    summary: 'write a first config, or print the config of a log shipper',
    options: [
      { flags: '-f, --file <path>', summary: 'file to write (default: monocore.toml)' },
      {
        flags: '--shipper [name]',
        summary: "print a shipper's config for this home's logs; without name, the shippers",
        conflicts: 'file',
      },
    ],
    load: async () => (await import('./commands/init.ts')).init,
  },

  {
    name: 'doctor',
    group: 'Host and daemon',
    summary: 'check whether this host can run microVMs',
    options: [JSON_OUTPUT],
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  {
    name: 'daemon',
    group: 'Host and daemon',
    summary: 'manage the process that runs the services',
  },
  {
    name: 'daemon run',
    summary: 'run the daemon in the foreground, for systemd and other service managers',
    options: [
      ...DAEMON_SETTINGS,
      { flags: '--background', summary: 'report a failed start in a form for programs', hidden: true },
    ],
    load: async () => (await import('./commands/daemon/run.ts')).daemonRun,
  },
  {
    name: 'daemon stop',
    summary: 'stop all services and end the daemon',
    options: [{ flags: '--leave-running', summary: 'leave the VMs running; the next daemon adopts them' }],
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
      { flags: '--user', summary: 'a unit of your user (default, except for root)', conflicts: 'system' },
      { flags: '--system', summary: 'a unit of the host (default for root)' },
      { flags: '--print', summary: 'print the unit and write nothing' },
      { flags: '--force', summary: 'overwrite a unit that monocore did not write' },
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
    argument: { syntax: '[topic...]', summary: 'a topic of the manual, or a command' },
    summary: 'show the manual',
    load: async () => (await import('./commands/help.ts')).help,
  },
];
