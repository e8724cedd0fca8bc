/** The daemon as a process: starting it and waiting for its end. */
import { execFile, spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { errorText, fromWireError, MonocoreError } from '../../lib/errors.ts';
import { makeTempFolder } from '../../lib/files.ts';
import { isSource, packageRoot } from '../../lib/package-info.ts';
import { identify, isRunning } from '../../lib/proc.ts';
import { pollUntil } from '../../lib/promises.ts';
import type { DaemonSettings, DaemonStatus, ErrorReply, LogLevel } from '../../protocol/http.ts';
import { makeFolder } from '../../state/folder.ts';
import type { HomePaths } from '../../state/paths.ts';
import { type DaemonClient, isDaemonAbsent } from '../client.ts';

const run = promisify(execFile);

/** Deadline for the first answer of a daemon. It needs a fraction of a second, and minutes on an overloaded host. */
const START_TIMEOUT_MS = 180_000;
const POLL_INTERVAL_MS = 25;
/** Delay before another launch, in which a daemon that holds the home may answer or end. */
const RELAUNCH_DELAY_MS = 500;
/** Deadline for a daemon that systemd starts: its unit has the same one, after which systemd starts it anew. */
const UNIT_TIMEOUT_MS = 300_000;
const UNIT_INTERVAL_MS = 250;
/** Deadline for an answer of systemctl, which takes milliseconds: a service manager may hang. */
const SYSTEMCTL_TIMEOUT_MS = 30_000;
/** Limit on what is read of a failed daemon's stderr: enough for a message and a stack. */
const STDERR_READ_BYTES = 64 * 1024;

export interface DaemonCommand {
  readonly execPath: string;
  readonly args: readonly string[];
  readonly cwd: string;
}

/**
 * Size of V8's young generation in each thread, MiB. With the default, a thread uses up to 48 MiB before it collects
 * garbage, which doubles the memory of a daemon with dozens of services (`npm run load`) and slows down each fork.
 */
const NODE_OPTIONS = ['--max-semi-space-size=1'];

/** Command line of this program, with the Node options of a daemon and without a verb. */
export function ownProgram(): Pick<DaemonCommand, 'execPath' | 'args'> {
  const bin = fileURLToPath(new URL(isSource ? '../bin.ts' : '../bin.js', import.meta.url));
  // A daemon that starts another one already has these options.
  const given = process.execArgv.filter((option) => !NODE_OPTIONS.includes(option));
  return { execPath: process.execPath, args: [...given, ...NODE_OPTIONS, bin] };
}

/** Command that starts a daemon in the background, with the settings of its predecessor if there is one. */
export function ownDaemonCommand(home: string, settings?: DaemonSettings): DaemonCommand {
  const { execPath, args } = ownProgram();
  return {
    execPath,
    args: [...args, '--home', home, 'daemon', 'run', '--background', ...(settings ? settingOptions(settings) : [])],
    // The caller's folder may be unmounted or deleted while the daemon runs, so it is not used. When run from source,
    // the folder must be one from which `--import tsx` resolves.
    cwd: isSource ? packageRoot : home,
  };
}

/** Options of `daemon run`, as the parser returns them. */
export interface DaemonRunOptions {
  readonly logLevel: LogLevel;
  readonly logWorkers: number;
  readonly leaveRunning?: boolean;
  /** Set if another monocore process starts the daemon and reads its error from stderr. */
  readonly background?: boolean;
}

export function toSettings(options: DaemonRunOptions): DaemonSettings {
  const { logLevel: log_level, logWorkers: log_workers, leaveRunning = false, background = false } = options;
  return { log_level, log_workers, background, leave_running: leaveRunning };
}

/** Command-line options of `daemon run` that express `settings`. */
export function settingOptions(settings: Omit<DaemonSettings, 'background'>): string[] {
  const { log_level, log_workers, leave_running } = settings;
  const options = ['--log-level', log_level, '--log-workers', String(log_workers)];
  return leave_running ? [...options, '--leave-running'] : options;
}

/**
 * Starts a daemon in the background and waits until it answers. If another daemon locks the home first, uses that one;
 * if that one is ending, launches a new one after it.
 *
 * @throws MonocoreError the daemon's own error if it cannot start; `DaemonUnreachable` if it does not answer in time;
 * `HomeUnusable` if the home cannot be created
 */
export async function startDaemon(
  paths: HomePaths,
  client: DaemonClient,
  command: DaemonCommand = ownDaemonCommand(paths.home),
): Promise<DaemonStatus> {
  createHome(paths.home);
  const deadline = performance.now() + START_TIMEOUT_MS;
  let launch = launchDaemon(command, paths.home);
  let relaunchAt: number | null = null;
  try {
    while (performance.now() < deadline) {
      const status = await askStatus(client);
      if (status) return status;
      if (relaunchAt === null && launch.ended()) {
        const failure = launch.failure();
        if (failure.code !== 'DaemonRunning') throw failure;
        relaunchAt = performance.now() + RELAUNCH_DELAY_MS;
      } else if (relaunchAt !== null && performance.now() > relaunchAt) {
        launch.release();
        launch = launchDaemon(command, paths.home);
        relaunchAt = null;
      }
      await delay(POLL_INTERVAL_MS);
    }
    const message = `the daemon did not answer within ${START_TIMEOUT_MS / 1000} s; its log is in ${paths.logDir}`;
    throw new MonocoreError('DaemonUnreachable', message);
  } finally {
    launch.release();
  }
}

/** Systemd unit, and the command that manages it: `systemctl` or `systemctl --user`. */
export interface Unit {
  readonly name: string;
  readonly manager: string;
}

/**
 * Status of a daemon that systemd is starting; null if the unit is stopped or its daemon never answers.
 *
 * @param systemctlTimeoutMs for each answer of systemctl
 * @throws MonocoreError `CallTimeout` without one
 */
export async function awaitUnit(
  unit: Unit,
  client: DaemonClient,
  systemctlTimeoutMs = SYSTEMCTL_TIMEOUT_MS,
): Promise<DaemonStatus | null> {
  const deadline = performance.now() + UNIT_TIMEOUT_MS;
  for (;;) {
    const state = await askUnitState(unit, systemctlTimeoutMs);
    const status = await askStatus(client);
    if (status || !/^(activating|active|reloading)$/.test(state)) return status;
    if (performance.now() > deadline) return null;
    await delay(UNIT_INTERVAL_MS);
  }
}

/** State of a unit in the words of systemctl(1); empty where there is no systemctl. @throws MonocoreError `CallTimeout` */
async function askUnitState({ name, manager }: Unit, timeoutMs: number): Promise<string> {
  const [systemctl = '', ...args] = manager.split(' ');
  try {
    const options = { timeout: timeoutMs, killSignal: 'SIGKILL' } as const;
    return (await run(systemctl, [...args, 'is-active', name], options)).stdout.trim();
  } catch (error) {
    // systemctl exits with 3 for a unit that is not active, but still prints its state.
    const { stdout = '', killed = false } = error as { stdout?: string; killed?: boolean };
    if (!killed) return stdout.trim();
    const message = `${manager} is-active ${name} did not answer in ${timeoutMs / 1000} s: the service manager hangs`;
    throw new MonocoreError('CallTimeout', `${message}; try it by hand`, { cause: error });
  }
}

/** Status of the daemon; null if none is listening (yet). */
export async function askStatus(client: DaemonClient): Promise<DaemonStatus | null> {
  try {
    return await client.daemon();
  } catch (error) {
    if (isDaemonAbsent(error)) return null;
    throw error;
  }
}

/**
 * Waits until the process of the daemon has ended; its socket disappears earlier.
 *
 * @param timeoutMs no limit by default, because services may take any time to stop
 * @throws MonocoreError `CallTimeout`
 */
export async function waitForEnd(pid: number, timeoutMs = Number.POSITIVE_INFINITY): Promise<void> {
  const daemon = identify(pid);
  if (daemon === null || (await pollUntil(() => !isRunning(daemon), POLL_INTERVAL_MS, timeoutMs))) return;
  throw new MonocoreError('CallTimeout', `the daemon (process ${pid}) has not ended within ${timeoutMs / 1000} s`);
}

function launchDaemon({ execPath, args, cwd }: DaemonCommand, home: string) {
  // A deleted file instead of a pipe: a pipe would break the daemon's stderr once this process has ended.
  const folder = makeTempFolder('monocore-', home);
  const stderrFd = openSync(join(folder, 'stderr'), 'a+', 0o600);
  rmSync(folder, { recursive: true });

  let spawnError: Error | null = null;
  const child = spawn(execPath, args, { cwd, detached: true, stdio: ['ignore', 'ignore', stderrFd] });
  child.on('error', (error) => {
    spawnError = error;
  });
  child.unref();
  return {
    ended: () => spawnError !== null || child.exitCode !== null || child.signalCode !== null,
    /** Error of the ended daemon. */
    failure(): MonocoreError {
      if (!spawnError) return parseFailure(readStart(stderrFd), child.signalCode ?? `exit code ${child.exitCode}`);
      return new MonocoreError(
        'DaemonUnreachable',
        `${execPath} cannot be executed as the daemon: ${errorText(spawnError)}`,
      );
    },
    /** Closes our end of the daemon's stderr; the daemon itself keeps running. */
    release: () => closeSync(stderrFd),
  };
}

/**
 * Error of a daemon, taken from its stderr: the last line that is an `ErrorReply`, which `daemon run --background`
 * prints, or else the whole text, for example an error of Node itself.
 *
 * @param end how the process ended, for people: its signal or exit code
 */
export function parseFailure(stderr: string, end: string): MonocoreError {
  for (const line of stderr.trimEnd().split('\n').reverse()) {
    if (!line.startsWith('{"error":')) continue;
    try {
      return fromWireError((JSON.parse(line) as ErrorReply).error);
    } catch {
      // The line was cut off or printed by another program: the whole text says more.
    }
  }
  const said = stderr.trim();
  return new MonocoreError('DaemonUnreachable', `the daemon ended at once (${end})${said === '' ? '' : `:\n${said}`}`);
}

function readStart(fd: number): string {
  const buffer = Buffer.alloc(Math.min(fstatSync(fd).size, STDERR_READ_BYTES));
  // Reads from an explicit position, because the daemon shares the descriptor's file offset.
  return buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, 0));
}

function createHome(home: string): void {
  try {
    // Log shippers run as other users; folders with secrets have stricter modes.
    makeFolder(home, 0o755);
  } catch (error) {
    const message = `the home ${home} cannot be created: ${errorText(error)}; choose another with --home or MONOCORE_HOME`;
    throw new MonocoreError('HomeUnusable', message, { cause: error });
  }
}
