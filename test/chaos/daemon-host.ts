/** The daemon of the run: one process after the other, each started, crashed, killed or ended from here. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DaemonClient } from '../../src/cli/client.ts';
import type { HomePaths } from '../../src/state/paths.ts';
import { TYPESCRIPT_OPTIONS } from '../helpers/processes/typescript.ts';
import type { Findings } from './findings.ts';
import type { DaemonDeaths } from './lines.ts';
import { comesTrue } from './waiting.ts';

const PROGRAM = fileURLToPath(new URL('./daemon.ts', import.meta.url));
const CLOCK = fileURLToPath(new URL('./clock.cjs', import.meta.url));
const START_TIMEOUT_MS = 60_000;
/** For a pipe that had filled up. */
const CATCH_UP_MS = 1000;
/** Of one that leaves its services running. */
const LEAVE_TIMEOUT_MS = 30_000;
/** Of one that stops its services first. */
const STOP_TIMEOUT_MS = 120_000;

/** Where a daemon works. */
interface DaemonHostOptions {
  readonly paths: HomePaths;
  /** See `clock.cjs`. */
  readonly clockFile: string;
  /** Gets what daemons say on stderr. */
  readonly stderrFile: string;
  readonly findings: Findings;
  /** Runs VMs as fake machines. */
  readonly fake: boolean;
}

/** Something of which a daemon that writes logs and states needs some. */
export type Shortage = 'space' | 'descriptors';

/** At most one daemon at a time. */
export class DaemonHost {
  readonly client: DaemonClient;
  readonly #shortages = new Set<Shortage>();
  #shortUntilMs = Number.NEGATIVE_INFINITY;
  readonly #deaths = { usual: 0, withBacklog: 0 };
  readonly #options: DaemonHostOptions;
  #child: ChildProcess | null = null;
  /** True while the daemon may end without being a finding. */
  #isEnding = false;
  /** When what had waited for a daemon, or for space, has been read. */
  #caughtUpAtMs = Number.POSITIVE_INFINITY;

  constructor(options: DaemonHostOptions) {
    this.#options = options;
    this.client = new DaemonClient(options.paths.socket);
  }

  /** Process of the daemon that runs; null while none does. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Moments at which a chunk of each stream may have been lost on its way. */
  get deaths(): DaemonDeaths {
    return { ...this.#deaths };
  }

  /** From now on there is a shortage, or it is over. */
  noteShortage(shortage: Shortage, isThere: boolean): void {
    if (isThere) this.#shortages.add(shortage);
    else this.#shortages.delete(shortage);
    this.#shortUntilMs = performance.now();
    this.#expectBacklog();
  }

  /** True while there is a shortage. */
  get isShort(): boolean {
    return this.#shortages.size > 0;
  }

  /** Returns true if a shortage kept the daemon from saving at some moment since then. */
  wasShort(sinceMs: number): boolean {
    return this.isShort || this.#shortUntilMs >= sinceMs;
  }

  /** Resolves when it answers, or has failed to, which is a violation. */
  async start(): Promise<void> {
    const { paths, clockFile, stderrFile, findings, fake } = this.#options;
    const stderr = openSync(stderrFile, 'a');
    const args = [...TYPESCRIPT_OPTIONS, PROGRAM, paths.home, ...(fake ? ['fake'] : [])];
    const child = spawn(process.execPath, args, {
      // Worker threads take it from there.
      env: { ...process.env, NODE_OPTIONS: `--require=${CLOCK}`, CHAOS_CLOCK_FILE: clockFile },
      stdio: ['pipe', 'ignore', stderr],
      detached: true,
    });
    closeSync(stderr);
    child.stdin?.on('error', () => {});
    this.#child = child;
    this.#isEnding = false;
    this.#caughtUpAtMs = Number.POSITIVE_INFINITY;
    child.once('exit', (code, signal) => this.#onExit(child, signal ?? `code ${code}`));
    const answers = async () => (await this.client.daemon()).pid === child.pid;
    const isThere = await comesTrue(START_TIMEOUT_MS, async () => this.#child !== child || (await answers()));
    this.#expectBacklog();
    if (!isThere) findings.complain('a daemon did not answer in time after its start');
  }

  /** Ends a thread of it as a crash would. */
  crashThread(name: string): void {
    if (!this.#child) return;
    // What is printed until the next one reads. Nothing of it may be lost.
    if (name === 'logs') this.#expectBacklog();
    this.#child.stdin?.write(`${name}\n`);
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#isEnding = true;
    this.#noteDeath();
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  /** Tells it to end, in order. */
  async end({ leaveRunning }: { readonly leaveRunning: boolean }): Promise<void> {
    const child = this.#child;
    if (!child) return;
    const { findings } = this.#options;
    this.#isEnding = true;
    // By a signal where its socket does not answer: the thread behind it may have crashed.
    const isTold = await comesTrue(LEAVE_TIMEOUT_MS, async () => {
      // The thread that had been told may have crashed before it could answer.
      if (this.#child !== child) return true;
      await this.client.stopDaemon({ leave_running: leaveRunning });
      return true;
    });
    if (!isTold) findings.complain('a daemon could not be told to end');
    const timeoutMs = leaveRunning ? LEAVE_TIMEOUT_MS : STOP_TIMEOUT_MS;
    if (!(await comesTrue(timeoutMs, () => this.#child !== child))) {
      findings.complain('a daemon that was told to end did not');
      await this.kill();
    } else if (child.exitCode !== 0) {
      findings.complain(`a daemon that was told to end did so with ${child.signalCode ?? `code ${child.exitCode}`}`);
    }
  }

  #expectBacklog(): void {
    this.#caughtUpAtMs = performance.now() + CATCH_UP_MS;
  }

  #noteDeath(): void {
    const hasBacklog = this.#shortages.size > 0 || performance.now() < this.#caughtUpAtMs;
    this.#deaths[hasBacklog ? 'withBacklog' : 'usual'] += 1;
    // What is printed until the next one reads.
    if (this.#child) this.#expectBacklog();
  }

  #onExit(child: ChildProcess, how: string): void {
    if (this.#child !== child) return;
    this.#child = null;
    if (this.#isEnding) return;
    this.#noteDeath();
    this.#options.findings.complain(`the daemon ended by itself with ${how}`);
  }
}
