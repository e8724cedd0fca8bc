/** What runs as a service: a command with all that it is given, by the config and by the image. */
import { MonocoreError } from '../../lib/errors.ts';
import type { ImageDefaults } from '../../protocol/images.ts';
import type { Service } from '../../protocol/service.ts';

/** A command that is complete: nothing of it is left to an image. */
export interface ServiceCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly envs: Readonly<Record<string, string>>;
  /** Absolute path where it runs. */
  readonly workdir: string;
  /** Of an image: `user`, `user:group` or numbers; null where there is no image, and nobody to become. */
  readonly user: string | null;
}

/** Names that a POSIX shell takes for a variable: XBD, 3.216. */
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * The program of a service that has no image, where the config names all of it.
 *
 * @throws MonocoreError `Internal` for a service with an image
 */
export function ownCommand({ name, command, args, envs, workdir }: Service): ServiceCommand {
  if (command === null || workdir === null) {
    throw new MonocoreError('Internal', `what ${name} runs is said by its image`);
  }
  return { command, args, envs, workdir, user: null };
}

/**
 * The program of a service that has an image. What the config says wins: `command` stands in the place of the image's
 * entrypoint and arguments, `args` alone in that of its arguments.
 *
 * @throws MonocoreError `StartFailed` when neither names a command
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
    envs: { ...parseEnv(defaults).envs, ...service.envs },
    // Some images leave the slash out; runtimes take the path from the root then.
    workdir: workdir.startsWith('/') ? workdir : `/${workdir}`,
    user: defaults.user ?? '0',
  };
}

/** What of an image's program cannot be as its maker says, for people. */
export function describeOmissions(defaults: ImageDefaults): string[] {
  const { omitted } = parseEnv(defaults);
  const notes =
    omitted.length > 0 ? [`variables of the image are left out, by their names: ${omitted.join(', ')}`] : [];
  if (defaults.stop_signal !== null && parseSignal(defaults.stop_signal) === null) {
    notes.push(`the stop signal of the image is not known, ${JSON.stringify(defaults.stop_signal)}: SIGTERM is sent`);
  }
  return notes;
}

/** Names of signal(7) in the order of their numbers on x86 and ARM, from 1 on. */
const SIGNALS = (
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU ' +
  'XFSZ VTALRM PROF WINCH IO PWR SYS'
).split(' ');
/** Real-time signals, as glibc leaves them to programs, and as images name them: the C library keeps 32 and 33. */
const RTMIN = 34;
const RTMAX = 64;

/**
 * What asks the program of an image to end, as kill(1) takes it: a name without its `SIG`, or the number of a real-time
 * signal. `TERM` where the image says nothing, or what nobody knows.
 */
export function stopSignalOf({ stop_signal }: ImageDefaults): string {
  return (stop_signal === null ? null : parseSignal(stop_signal)) ?? 'TERM';
}

/** `SIGTERM`, `term`, `15`, `SIGRTMIN+3`, `RTMAX-1`; null for any other text. */
function parseSignal(text: string): string | null {
  const name = text.trim().toUpperCase().replace(/^SIG/, '');
  if (SIGNALS.includes(name)) return name;
  const [, base, offset = '0'] = /^(RTMIN(?=$|\+)|RTMAX(?=$|-))([+-]\d{1,2})?$/.exec(name) ?? [];
  const number = base ? (base === 'RTMIN' ? RTMIN : RTMAX) + Number(offset) : /^\d{1,2}$/.test(name) ? Number(name) : 0;
  if (number >= 1 && number <= SIGNALS.length) return SIGNALS[number - 1]!;
  return number >= RTMIN && number <= RTMAX ? String(number) : null;
}

/** The variables of an image; the shell that leads to the program can pass on none with other names. */
function parseEnv({ env }: ImageDefaults): { envs: Record<string, string>; omitted: string[] } {
  const pairs = env.map((text) => {
    const at = text.indexOf('=');
    return at === -1 ? ([text, ''] as const) : ([text.slice(0, at), text.slice(at + 1)] as const);
  });
  return {
    envs: Object.fromEntries(pairs.filter(([name]) => VARIABLE.test(name))),
    omitted: pairs.filter(([name]) => !VARIABLE.test(name)).map(([name]) => name),
  };
}
