/** The daemon's process: starting one when none runs, waiting for the end of one. */
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

/** Deadline of a daemon's first answer; it needs a fraction of a second even on a busy host. */
const START_TIMEOUT_MS = 20_000;
const POLL_INTERVAL_MS = 25;
/** Time that a daemon which holds the home gets to answer or to end before another launch. */
const RELAUNCH_DELAY_MS = 500;
/** Deadline of a daemon that systemd starts: with its pause between restarts, and VMs to adopt. */
const UNIT_TIMEOUT_MS = 60_000;
const UNIT_INTERVAL_MS = 250;
/** Most bytes read of a failed daemon's stderr: enough for a message and a stack. */
const STDERR_READ_BYTES = 64 * 1024;

export interface DaemonCommand {
  readonly execPath: string;
  readonly args: readonly string[];
  readonly cwd: string;
}

/**
 * Size of V8's young generation in each thread, MiB. By default a thread takes up to 48 MiB before it collects garbage,
 * which doubles the memory of a daemon with dozens of services (`npm run load`) and slows down each fork.
 */
const NODE_OPTIONS = ['--max-semi-space-size=1'];

/** Command line of this program with the options of a daemon's Node, without a verb. */
export function ownProgram(): Pick<DaemonCommand, 'execPath' | 'args'> {
  const bin = fileURLToPath(new URL(isSource ? '../bin.ts' : '../bin.js', import.meta.url));
  // A daemon that starts another one has these options already.
  const given = process.execArgv.filter((option) => !NODE_OPTIONS.includes(option));
  return { execPath: process.execPath, args: [...given, ...NODE_OPTIONS, bin] };
}

/** Command of a daemon in the background, with the settings of its predecessor if there is one. */
export function ownDaemonCommand(home: string, settings?: DaemonSettings): DaemonCommand {
  const { execPath, args } = ownProgram();
  return {
    execPath,
    args: [...args, '--home', home, 'daemon', 'run', '--background', ...(settings ? settingOptions(settings) : [])],
    // Not the caller's folder, which may be unmounted or deleted while the daemon runs. From the sources: a folder from
    // which `--import tsx` resolves.
    cwd: isSource ? packageRoot : home,
  };
}

/** Options of `daemon run`, as the parser returns them. */
export interface DaemonRunOptions {
  readonly logLevel: LogLevel;
  readonly logWorkers: number;
  readonly leaveRunning?: boolean;
  /** Started by another monocore, which reads the error from stderr. */
  readonly background?: boolean;
}

export function toSettings(options: DaemonRunOptions): DaemonSettings {
  const { logLevel: log_level, logWorkers: log_workers, leaveRunning = false, background = false } = options;
  return { log_level, log_workers, background, leave_running: leaveRunning };
}

/** Options of `daemon run` for `settings`. */
export function settingOptions(settings: Omit<DaemonSettings, 'background'>): string[] {
  const { log_level, log_workers, leave_running } = settings;
  const options = ['--log-level', log_level, '--log-workers', String(log_workers)];
  return leave_running ? [...options, '--leave-running'] : options;
}

/**
 * Starts a daemon in the background and waits until it answers. If another daemon locks the home first, that one is used;
 * if that one is ending, a new one is launched after it.
 *
 * @throws MonocoreError the daemon's error if it could not start; `DaemonUnreachable` if it does not answer in time;
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

/** A unit and the command that manages it: `systemctl`, or `systemctl --user`. */
export interface Unit {
  readonly name: string;
  readonly manager: string;
}

/** Status of a daemon that systemd is starting; null where its unit is stopped, or does not get it to answer. */
export async function awaitUnit({ name, manager }: Unit, client: DaemonClient): Promise<DaemonStatus | null> {
  const [systemctl = '', ...args] = manager.split(' ');
  const deadline = performance.now() + UNIT_TIMEOUT_MS;
  for (;;) {
    // The exit code is 3 for a unit that is not active; its state is printed all the same.
    const { stdout } = await run(systemctl, [...args, 'is-active', name]).catch(
      (error) => error as { stdout?: string },
    );
    const status = await askStatus(client);
    if (status || !/^(activating|active|reloading)$/.test(stdout?.trim() ?? '')) return status;
    if (performance.now() > deadline) return null;
    await delay(UNIT_INTERVAL_MS);
  }
}

/** The daemon's status; null if none listens (yet). */
export async function askStatus(client: DaemonClient): Promise<DaemonStatus | null> {
  try {
    return await client.daemon();
  } catch (error) {
    if (isDaemonAbsent(error)) return null;
    throw error;
  }
}

/**
 * Waits until the daemon's process has ended; its socket vanishes earlier.
 *
 * @param timeoutMs without it there is no limit: services may take any time to stop
 * @throws MonocoreError `CallTimeout`
 */
export async function waitForEnd(pid: number, timeoutMs = Number.POSITIVE_INFINITY): Promise<void> {
  const daemon = identify(pid);
  if (daemon === null || (await pollUntil(() => !isRunning(daemon), POLL_INTERVAL_MS, timeoutMs))) return;
  throw new MonocoreError('CallTimeout', `the daemon (process ${pid}) has not ended within ${timeoutMs / 1000} s`);
}

function launchDaemon({ execPath, args, cwd }: DaemonCommand, home: string) {
  // A deleted file rather than a pipe, which would break the daemon's stderr once this process has ended.
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
    /** Closes the daemon's stderr; the daemon itself lives on. */
    release: () => closeSync(stderrFd),
  };
}

/**
 * The error of a daemon, from its stderr: the last line that is an `ErrorReply`, as `daemon run --background` prints it,
 * else the whole text, for example Node's own error.
 *
 * @param end end of the process, for people: its signal or exit code
 */
export function parseFailure(stderr: string, end: string): MonocoreError {
  for (const line of stderr.trimEnd().split('\n').reverse()) {
    if (!line.startsWith('{"error":')) continue;
    try {
      return fromWireError((JSON.parse(line) as ErrorReply).error);
    } catch {
      // Cut off, or printed by another program: the text says more.
    }
  }
  const said = stderr.trim();
  return new MonocoreError('DaemonUnreachable', `the daemon ended at once (${end})${said === '' ? '' : `:\n${said}`}`);
}

function readStart(fd: number): string {
  const buffer = Buffer.alloc(Math.min(fstatSync(fd).size, STDERR_READ_BYTES));
  // An explicit position, since the daemon shares the descriptor's own.
  return buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, 0));
}

function createHome(home: string): void {
  try {
    // Log shippers run as other users; secret parts have stricter modes.
    makeFolder(home, 0o755);
  } catch (error) {
    const message = `the home ${home} cannot be created: ${errorText(error)}; choose another with --home or MONOCORE_HOME`;
    throw new MonocoreError('HomeUnusable', message, { cause: error });
  }
}
