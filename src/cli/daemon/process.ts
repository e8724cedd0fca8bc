/** The daemon's process: starting one when none runs, waiting for the end of one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { errorText, MonocoreError } from '../../lib/errors.ts';
import { isSource, packageRoot } from '../../lib/package-info.ts';
import { isAlive } from '../../lib/proc.ts';
import { pollUntil } from '../../lib/promises.ts';
import { fromWireError } from '../../lib/wire-error.ts';
import type { DaemonSettings, DaemonStatus, ErrorReply } from '../../protocol/http.ts';
import { makeFolder } from '../../state/folder.ts';
import type { HomePaths } from '../../state/paths.ts';
import { type DaemonClient, isDaemonAbsent } from '../client.ts';

/** A daemon that has not answered by then is taken for stuck; it needs a fraction of a second even on a busy host. */
const START_TIMEOUT_MS = 20_000;
const POLL_INTERVAL_MS = 25;
/** How long another daemon, which held the home, gets to answer or to end before one is launched again. */
const RELAUNCH_DELAY_MS = 500;
/** Of what a daemon printed before it failed: enough for a message and a stack. */
const STDERR_READ_BYTES = 64 * 1024;

/** How a daemon is started. */
export interface DaemonCommand {
  readonly execPath: string;
  readonly args: readonly string[];
  readonly cwd: string;
}

/**
 * Space for new objects of each thread, MiB. A thread takes up to 48 MiB by default before it looks for what it can give
 * back, so that dozens of services would cost twice the memory (`npm run load` shows it), and each fork of a process
 * takes longer the more it has.
 */
const NODE_OPTIONS = ['--max-semi-space-size=1'];

/** This very program as it runs a daemon, without a command. */
export function ownProgram(): Pick<DaemonCommand, 'execPath' | 'args'> {
  const bin = fileURLToPath(new URL(isSource ? '../bin.ts' : '../bin.js', import.meta.url));
  // A daemon that starts another one has them already.
  const given = process.execArgv.filter((option) => !NODE_OPTIONS.includes(option));
  return { execPath: process.execPath, args: [...given, ...NODE_OPTIONS, bin] };
}

/** This very program as a daemon in the background, with the settings of another one where there was one. */
export function ownDaemonCommand(home: string, settings?: DaemonSettings): DaemonCommand {
  const { execPath, args } = ownProgram();
  return {
    execPath,
    args: [...args, '--home', home, 'daemon', 'run', '--background', ...(settings ? settingOptions(settings) : [])],
    // The daemon stays for long: it must not hold on to the caller's folder, which may be unmounted or deleted. From
    // the sources it needs a folder from which `--import tsx` resolves.
    cwd: isSource ? packageRoot : home,
  };
}

/** Options of `daemon run`. */
export function settingOptions(settings: Omit<DaemonSettings, 'background'>): string[] {
  const { log_level, log_workers, leave_running } = settings;
  const options = ['--log-level', log_level, '--log-workers', String(log_workers)];
  return leave_running ? [...options, '--leave-running'] : options;
}

/**
 * Starts a daemon in the background and waits until it answers. When somebody else's daemon gets hold of the home
 * first, that one is used; when it is one that is just ending, a new one is launched after it.
 *
 * @throws MonocoreError what the daemon said if it could not start; `DaemonUnreachable` when it does not answer in time;
 * `HomeUnusable` when the home cannot be created
 */
export async function startDaemon(
  paths: HomePaths,
  client: DaemonClient,
  command: DaemonCommand = ownDaemonCommand(paths.home),
): Promise<DaemonStatus> {
  createHome(paths.home);
  const deadline = performance.now() + START_TIMEOUT_MS;
  let launch = launchDaemon(command);
  let relaunchAt = Number.POSITIVE_INFINITY;
  try {
    while (performance.now() < deadline) {
      const status = await askStatus(client);
      if (status) return status;
      if (launch.ended() && relaunchAt === Number.POSITIVE_INFINITY) {
        const failure = launch.failure();
        if (failure.code !== 'DaemonRunning') throw failure;
        relaunchAt = performance.now() + RELAUNCH_DELAY_MS;
      }
      if (performance.now() > relaunchAt) {
        launch.release();
        launch = launchDaemon(command);
        relaunchAt = Number.POSITIVE_INFINITY;
      }
      await delay(POLL_INTERVAL_MS);
    }
    throw new MonocoreError(
      'DaemonUnreachable',
      `the daemon did not answer within ${START_TIMEOUT_MS / 1000} s; its log is in ${paths.logDir}`,
    );
  } finally {
    launch.release();
  }
}

/** The daemon's status, or null when none answers (yet). */
export async function askStatus(client: DaemonClient): Promise<DaemonStatus | null> {
  try {
    return await client.daemon();
  } catch (error) {
    if (isDaemonAbsent(error)) return null;
    throw error;
  }
}

/**
 * Waits until the process is gone. The daemon removes its socket before it has ended, so that does not tell.
 *
 * @param timeoutMs without it, as long as the daemon takes: its services may have any time to stop
 * @throws MonocoreError `CallTimeout`
 */
export async function waitForEnd(pid: number, timeoutMs = Number.POSITIVE_INFINITY): Promise<void> {
  if (await pollUntil(() => !isAlive(pid), POLL_INTERVAL_MS, timeoutMs)) return;
  throw new MonocoreError('CallTimeout', `the daemon, process ${pid}, has not ended in ${timeoutMs / 1000} s`);
}

interface Launch {
  ended(): boolean;
  /** What the ended daemon said. */
  failure(): MonocoreError;
  /** Lets go of the daemon, which lives on. */
  release(): void;
}

function launchDaemon({ execPath, args, cwd }: DaemonCommand): Launch {
  // A deleted file rather than a pipe: a pipe would break when this process ends and the daemon prints something.
  const folder = mkdtempSync(join(tmpdir(), 'monocore-'));
  const stderrFd = openSync(join(folder, 'stderr'), 'a+', 0o600);
  rmSync(folder, { recursive: true });

  let spawnError: Error | null = null;
  const child: ChildProcess = spawn(execPath, args, { cwd, detached: true, stdio: ['ignore', 'ignore', stderrFd] });
  child.on('error', (error) => {
    spawnError = error;
  });
  child.unref();
  return {
    ended: () => spawnError !== null || child.exitCode !== null || child.signalCode !== null,
    failure() {
      if (spawnError) {
        return new MonocoreError('DaemonUnreachable', `the daemon cannot be started: ${errorText(spawnError)}`);
      }
      return parseFailure(readStart(stderrFd), child.signalCode ?? `exit code ${child.exitCode}`);
    },
    release: () => closeSync(stderrFd),
  };
}

/**
 * The error that a daemon's stderr tells: the last line that is an `ErrorReply`, as `daemon run --background` prints
 * it, or else the text as it is (Node itself could not run it).
 *
 * @param end how the process ended, for people
 */
export function parseFailure(stderr: string, end: string): MonocoreError {
  for (const line of stderr.trimEnd().split('\n').reverse()) {
    if (!line.startsWith('{"error":')) continue;
    try {
      return fromWireError((JSON.parse(line) as ErrorReply).error);
    } catch {
      // Cut off or of somebody else's making: the text says more.
    }
  }
  const said = stderr.trim();
  return new MonocoreError('DaemonUnreachable', `the daemon ended at once (${end})${said === '' ? '' : `:\n${said}`}`);
}

function readStart(fd: number): string {
  const buffer = Buffer.alloc(Math.min(fstatSync(fd).size, STDERR_READ_BYTES));
  // The descriptor's own offset is shared with the daemon, hence an explicit position.
  return buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, 0));
}

function createHome(home: string): void {
  try {
    // Shippers run as other users: what is secret below it has modes of its own.
    makeFolder(home, 0o755);
  } catch (error) {
    const message = `the home ${home} cannot be created: ${errorText(error)}; choose another with --home or MONOCORE_HOME`;
    throw new MonocoreError('HomeUnusable', message, { cause: error });
  }
}
