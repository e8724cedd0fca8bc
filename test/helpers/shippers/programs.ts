/** Log shippers that tests run, and how each is run with the package's config. */
import { join } from 'node:path';

/** Paths that one shipper of a test works with; nothing of it is the host's. */
export interface ShipperPaths {
  /** Main config, which includes the package's. */
  readonly mainConfig: string;
  /** The package's config, with the folders of the test in it. */
  readonly config: string;
  /** Where it keeps how far it has read, its pid file and its sockets. */
  readonly stateDir: string;
}

/** A log shipper that can be run. */
export interface ShipperProgram {
  readonly name: 'rsyslog' | 'syslog-ng';
  readonly executable: string;
  /** It can miss a file that is created while it starts, until it reloads. */
  readonly needsReload: boolean;
  /** Content of the main config that a distribution would have. */
  mainConfig(paths: ShipperPaths): string;
  /** Arguments to run in the foreground until SIGTERM. */
  runArgs(paths: ShipperPaths): string[];
  /** Arguments to check the configs, and end. */
  checkArgs(paths: ShipperPaths): string[];
}

/** rsyslog with its module imfile. Options: rsyslogd(8). */
export const rsyslog: ShipperProgram = {
  name: 'rsyslog',
  executable: 'rsyslogd',
  needsReload: false,
  mainConfig: ({ config, stateDir }) =>
    `global(workDirectory="${stateDir}" maxMessageSize="300k")\ninclude(file="${config}")\n`,
  runArgs: ({ mainConfig, stateDir }) => ['-n', '-f', mainConfig, '-i', join(stateDir, 'pid')],
  checkArgs: ({ mainConfig, stateDir }) => ['-N1', '-f', mainConfig, '-i', join(stateDir, 'pid')],
};

/** syslog-ng with its source wildcard-file. Options: syslog-ng(8). */
export const syslogNg: ShipperProgram = {
  name: 'syslog-ng',
  executable: 'syslog-ng',
  // directory_monitor_start() lists the folder before it watches it, with inotify and without.
  needsReload: true,
  // The oldest version that is tried; a newer program reads it with a warning at most.
  mainConfig: ({ config }) => `@version: 3.35\n@include "${config}"\n`,
  runArgs: (paths) => ['--foreground', ...syslogNgPaths(paths)],
  checkArgs: (paths) => ['--syntax-only', ...syslogNgPaths(paths)],
};

function syslogNgPaths({ mainConfig, stateDir }: ShipperPaths): string[] {
  return [
    '--no-caps',
    `--cfgfile=${mainConfig}`,
    `--persist-file=${join(stateDir, 'persist')}`,
    `--pidfile=${join(stateDir, 'pid')}`,
    `--control=${join(stateDir, 'control')}`,
  ];
}
