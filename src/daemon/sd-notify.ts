/**
 * Tells the service manager that started the daemon how it is, as sd_notify(3) says: ready, alive, stopping.
 *
 * Node has no datagram sockets of the unix domain, so systemd-notify(1) sends, which comes with systemd. The messages
 * are then not the main process's own: a unit needs `NotifyAccess=all`.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Clock } from '../lib/clock.ts';
import { errorText } from '../lib/errors.ts';
import type { Report } from '../lib/report.ts';

const SEND_TIMEOUT_MS = 5000;
/** Between two signs of life where the manager asks for none but may lose patience with a stop. */
const DEFAULT_BEAT_MS = 15_000;
/** After a sign of life that could not be given: soon, as the manager's time runs. */
const RETRY_MS = 500;
/** Services change in bursts; each status costs a process. */
const STATUS_DELAY_MS = 1000;

/** What a service manager put into the environment. */
export interface NotifySocket {
  /** Path of a socket, or `@` and a name in the abstract namespace. */
  readonly address: string;
  /** The daemon counts as hung when it gives no sign of life for this long; null for no such limit. */
  readonly watchdogMs: number | null;
}

/**
 * Takes the variables of sd_notify(3) and sd_watchdog_enabled(3) out of `env`, so that no process that the daemon
 * starts gets them: it could speak for the daemon.
 *
 * @param pid of this process: a watchdog that is meant for another one is none
 * @returns null where no service manager waits to be told
 */
export function takeNotifySocket(env: NodeJS.ProcessEnv, pid: number): NotifySocket | null {
  const { NOTIFY_SOCKET: address, WATCHDOG_USEC: watchdogUsec, WATCHDOG_PID: watchdogPid } = env;
  delete env.NOTIFY_SOCKET;
  delete env.WATCHDOG_USEC;
  delete env.WATCHDOG_PID;
  if (!address) return null;
  const isMeant = watchdogPid === undefined || Number(watchdogPid) === pid;
  const watchdogMs = isMeant && /^[1-9]\d{0,15}$/.test(watchdogUsec ?? '') ? Number(watchdogUsec) / 1000 : null;
  return { address, watchdogMs };
}

/** How to tell, and what is known of the daemon. */
export interface NotifierOptions {
  readonly socket: NotifySocket;
  readonly clock: Clock;
  readonly report: Report;
  /** Resolves when the daemon has been found to work, rejects when it does not. */
  readonly checkAlive: () => Promise<void>;
}

/** Sends one message after the other. Nothing here throws: what cannot be sent is reported. Main thread. */
export class ServiceNotifier {
  readonly #options: NotifierOptions;
  readonly #beatMs: number;
  /** Settles when all messages so far are sent. */
  #sent: Promise<void> = Promise.resolve();
  #status = '';
  #cancelStatus: (() => void) | null = null;
  #cancelBeat: (() => void) | null = null;
  #isBeating = false;
  #isStopping = false;
  #isClosed = false;
  readonly #reported = new Set<string>();

  constructor(options: NotifierOptions) {
    this.#options = options;
    const { watchdogMs } = options.socket;
    // Half of it, as sd_watchdog_enabled(3) recommends.
    this.#beatMs = watchdogMs === null ? DEFAULT_BEAT_MS : watchdogMs / 2;
  }

  /** The daemon can be asked from now on. */
  ready(status: string): void {
    this.#status = status;
    this.#send('READY=1', `STATUS=${status}`);
    if (this.#options.socket.watchdogMs !== null) this.#beatAfter(this.#beatMs);
  }

  /** A line for people, shown by `systemctl status`. Of several in quick succession the last is sent. */
  status(status: string): void {
    if (status === this.#status || this.#isClosed) return;
    this.#status = status;
    this.#cancelStatus ??= this.#options.clock.after(STATUS_DELAY_MS, () => {
      this.#cancelStatus = null;
      this.#send(`STATUS=${this.#status}`);
    });
  }

  /** The daemon begins to end. As long as it is alive, it gets more time than the manager's own patience. */
  stopping(status: string): void {
    this.#status = status;
    this.#isStopping = true;
    this.#send('STOPPING=1', `STATUS=${status}`);
    this.#cancelBeat?.();
    if (!this.#isBeating) void this.#beat();
  }

  /** Resolves when all is sent; nothing more will be. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelStatus?.();
    this.#cancelBeat?.();
    await this.#sent;
  }

  #beatAfter(delayMs: number): void {
    this.#cancelBeat = this.#options.clock.after(delayMs, () => void this.#beat());
  }

  async #beat(): Promise<void> {
    this.#isBeating = true;
    let delayMs = this.#beatMs;
    try {
      await this.#checkInTime();
      const moreTime = this.#isStopping ? [`EXTEND_TIMEOUT_USEC=${Math.round(this.#beatMs * 2 * 1000)}`] : [];
      if (!this.#isClosed) this.#send('WATCHDOG=1', ...moreTime);
      await this.#sent;
      this.#reported.delete('alive');
    } catch (error) {
      this.#reportOnce('alive', `no sign of life is given to the service manager: ${errorText(error)}`);
      delayMs = Math.min(RETRY_MS, this.#beatMs);
    }
    this.#isBeating = false;
    if (!this.#isClosed) this.#beatAfter(delayMs);
  }

  async #checkInTime(): Promise<void> {
    let cancel = () => {};
    const late = new Promise<never>((_resolve, reject) => {
      cancel = this.#options.clock.after(this.#beatMs, () =>
        reject(new Error(`the threads did not answer in ${Math.round(this.#beatMs)} ms`)),
      );
    });
    try {
      await Promise.race([this.#options.checkAlive(), late]);
    } finally {
      cancel();
    }
  }

  #send(...assignments: string[]): void {
    this.#sent = this.#sent.then(async () => {
      try {
        await promisify(execFile)('systemd-notify', assignments, {
          env: { PATH: process.env.PATH, NOTIFY_SOCKET: this.#options.socket.address },
          timeout: SEND_TIMEOUT_MS,
        });
        this.#reported.delete('send');
      } catch (error) {
        this.#reportOnce('send', `the service manager cannot be told: ${errorText(error)}`);
      }
    });
  }

  /** Once for each spell of the same trouble. */
  #reportOnce(trouble: 'alive' | 'send', message: string): void {
    if (this.#reported.has(trouble) || this.#isClosed) return;
    this.#reported.add(trouble);
    this.#options.report('warn', message);
  }
}
