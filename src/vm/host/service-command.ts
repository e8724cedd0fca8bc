/** Complete command of a service, assembled from its config and its image. */
import { constants } from 'node:os';
import { MonocoreError } from '../../lib/errors.ts';
import type { ImageDefaults } from '../../protocol/images.ts';
import type { Service } from '../../protocol/service.ts';
import { SIGNAL_NAMES } from './exit-record.ts';

/** Complete command that no longer depends on an image. */
export interface ServiceCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly envs: Readonly<Record<string, string>>;
  /** Absolute working directory. */
  readonly workdir: string;
  /** User in the guest: `user`, `user:group` or numbers; null to remain root without a lookup. */
  readonly user: string | null;
}

/**
 * Command of a service without an image, for which the config contains all parts.
 *
 * @throws MonocoreError `Internal` for a service with an image
 */
export function ownCommand({ name, command, args, envs, workdir, user }: Service): ServiceCommand {
  if (command === null || workdir === null) {
    throw new MonocoreError('Internal', `the command of ${name} is in its image`);
  }
  return { command, args, envs, workdir, user };
}

/**
 * Command of a service with an image. The config takes precedence: `command` replaces the entrypoint and the arguments
 * of the image, `args` alone replaces its arguments.
 *
 * @throws MonocoreError `StartFailed` if neither specifies a command
 */
export function imageCommand(service: Service, defaults: ImageDefaults): ServiceCommand {
  const { entrypoint, cmd } = defaults;
  const args = service.args.length > 0 ? service.args : cmd;
  const words = service.command === null ? [...entrypoint, ...args] : [service.command, ...service.args];
  const [command, ...rest] = words;
  if (!command) {
    throw new MonocoreError(
      'StartFailed',
      `${service.name} has nothing to run: its image names no command; set "command" in the config`,
    );
  }
  const workdir = service.workdir ?? defaults.workdir ?? '/';
  return {
    command,
    args: rest,
    envs: { ...parseEnv(defaults), ...service.envs },
    // Some images leave out the slash; runtimes then take the path from the root.
    workdir: workdir.startsWith('/') ? workdir : `/${workdir}`,
    user: service.user ?? defaults.user ?? '0',
  };
}

/** Notes on the parts of an image's command that cannot take effect, for people. */
export function describeOmissions({ stop_signal }: ImageDefaults): string[] {
  if (stop_signal === null || parseSignal(stop_signal) !== null) return [];
  return [`the stop signal of the image is unknown, ${JSON.stringify(stop_signal)}: SIGTERM is sent`];
}

/** Number of the first real-time signal in images: glibc reserves 32 and 33 for itself. */
const RTMIN = 34;
const RTMAX = 64;

/**
 * Default stop signal of an image's command as kill(1) takes it: a name without the prefix `SIG`, or the number of a
 * real-time signal. `TERM` if the image specifies none or an unknown one.
 */
export function defaultStopSignal({ stop_signal }: ImageDefaults): string {
  return (stop_signal === null ? null : parseSignal(stop_signal)) ?? 'TERM';
}

/** Parses `SIGTERM`, `term`, `15`, `SIGRTMIN+3`, `RTMAX-1`; null for any other text. */
function parseSignal(text: string): string | null {
  const name = text.trim().toUpperCase().replace(/^SIG/, '');
  const [, base, offset = '0'] = /^(RTMIN(?=$|\+)|RTMAX(?=$|-))([+-]\d{1,2})?$/.exec(name) ?? [];
  const known = /^\d{1,2}$/.test(name) ? Number(name) : (constants.signals[`SIG${name}` as NodeJS.Signals] ?? 0);
  const number = base ? (base === 'RTMIN' ? RTMIN : RTMAX) + Number(offset) : known;
  if (number >= RTMIN && number <= RTMAX) return String(number);
  return SIGNAL_NAMES.get(number)?.slice('SIG'.length) ?? null;
}

/** Variables of an image; a text without a name means none. */
function parseEnv({ env }: ImageDefaults): Record<string, string> {
  const pairs = env.map((text) => {
    const at = text.indexOf('=');
    return at === -1 ? ([text, ''] as const) : ([text.slice(0, at), text.slice(at + 1)] as const);
  });
  return Object.fromEntries(pairs.filter(([name]) => name !== ''));
}
