/**
 * Notifications to the service manager that started the daemon, see sd_notify(3): ready, alive, stopping.
 *
 * Node has no Unix datagram sockets, so systemd-notify(1), which comes with systemd, sends the messages. They come from
 * a process other than the daemon: a unit needs `NotifyAccess=all`.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Clock } from '../lib/clock.ts';
import { errorText, errorTextWithPath } from '../lib/errors.ts';
import { within } from '../lib/promises.ts';
import type { Report } from '../lib/report.ts';

/** On a busy host systemd-notify takes seconds to start. */
const SEND_TIMEOUT_MS = 10_000;
/** Interval of keep-alive messages during a stop when the manager has no watchdog: its stop timeout may be short. */
const DEFAULT_BEAT_MS = 15_000;
/** Delay after a failed keep-alive message: short, because the manager's timeout is running. */
const RETRY_MS = 500;
/** Delay before a status is sent: services change in bursts, and each status costs a process. */
const STATUS_DELAY_MS = 1000;

/** Notification settings of a service manager, from the environment. */
interface NotifySocket {
  /** Path of a socket, or `@` followed by a name in the abstract namespace. */
  readonly address: string;
  /** Longest time without a keep-alive message before the daemon counts as hung; null for no limit. */
  readonly watchdogMs: number | null;
}

/**
 * Removes the variables of sd_notify(3) and sd_watchdog_enabled(3) from `env`: a child that inherited them could send
 * notifications in the daemon's name.
 *
 * @param pid this process; a watchdog meant for another process is ignored
 * @returns null if no service manager expects notifications
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

function nameOf(assignment: string): string {
  return assignment.slice(0, assignment.indexOf('='));
}

interface NotifierOptions {
  readonly socket: NotifySocket;
  readonly clock: Clock;
  readonly report: Report;
  /** Resolves if the daemon works, rejects if it does not. */
  readonly checkAlive: () => Promise<void>;
}

/** Sends messages one after another. Never throws: failures are reported. Main thread. */
export class ServiceNotifier {
  readonly #options: NotifierOptions;
  readonly #beatMs: number;
  /** Settles when all messages so far have been sent. */
  #sent: Promise<void> = Promise.resolve();
  #unsent: readonly string[] = [];
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
    // Half the timeout, as sd_watchdog_enabled(3) recommends.
    this.#beatMs = watchdogMs === null ? DEFAULT_BEAT_MS : watchdogMs / 2;
  }

  /** Reports that the daemon is ready. */
  ready(status: string): void {
    this.#status = status;
    this.#send('READY=1', `STATUS=${status}`);
    if (this.#options.socket.watchdogMs !== null) this.#beatAfter(this.#beatMs);
  }

  /** Sends a line for `systemctl status`; of several in quick succession only the last. */
  status(status: string): void {
    if (status === this.#status || this.#isClosed) return;
    this.#status = status;
    this.#cancelStatus ??= this.#options.clock.after(STATUS_DELAY_MS, () => {
      this.#cancelStatus = null;
      this.#send(`STATUS=${this.#status}`);
    });
  }

  /** Reports the shutdown. As long as the daemon responds, requests more time than the manager's stop timeout. */
  stopping(status: string): void {
    this.#status = status;
    this.#isStopping = true;
    // At once: on a busy host the first sign of life may come later than the manager's limit.
    this.#send('STOPPING=1', `STATUS=${status}`, this.#moreTime());
    this.#cancelBeat?.();
    if (!this.#isBeating) void this.#beat();
  }

  /**
   * Resolves when all messages have been sent, including the last status, which the manager shows until the daemon is
   * back.
   */
  async close(lastStatus: string): Promise<void> {
    if (!this.#isClosed) this.#send(`STATUS=${lastStatus}`);
    this.#isClosed = true;
    this.#cancelStatus?.();
    this.#cancelBeat?.();
    await this.#sent;
  }

  #moreTime(): string {
    return `EXTEND_TIMEOUT_USEC=${Math.round(this.#beatMs * 2 * 1000)}`;
  }

  #beatAfter(delayMs: number): void {
    this.#cancelBeat = this.#options.clock.after(delayMs, () => void this.#beat());
  }

  async #beat(): Promise<void> {
    this.#isBeating = true;
    let delayMs = this.#beatMs;
    try {
      const { checkAlive, clock } = this.#options;
      const check = checkAlive().then(() => true);
      const isAlive = await within(check, this.#beatMs, { clock });
      if (!isAlive) throw new Error(`the threads did not answer in ${Math.round(this.#beatMs)} ms`);
      if (!this.#isClosed) this.#send('WATCHDOG=1', ...(this.#isStopping ? [this.#moreTime()] : []));
      await this.#sent;
      if (this.#unsent.length > 0) delayMs = Math.min(RETRY_MS, this.#beatMs);
      this.#reported.delete('alive');
    } catch (error) {
      this.#reportOnce('alive', `cannot send a keep-alive to the service manager: ${errorText(error)}`);
      delayMs = Math.min(RETRY_MS, this.#beatMs);
    }
    this.#isBeating = false;
    if (!this.#isClosed) this.#beatAfter(delayMs);
  }

  /** Sends a message, and with it those that could not be sent: a daemon that is never ready is ended by its manager. */
  #send(...assignments: string[]): void {
    this.#sent = this.#sent.then(async () => {
      const names = new Set(assignments.map(nameOf));
      const message = [...this.#unsent.filter((assignment) => !names.has(nameOf(assignment))), ...assignments];
      try {
        await promisify(execFile)('systemd-notify', message, {
          env: { PATH: process.env.PATH, NOTIFY_SOCKET: this.#options.socket.address },
          timeout: SEND_TIMEOUT_MS,
        });
        this.#unsent = [];
        this.#reported.delete('send');
      } catch (error) {
        this.#unsent = message;
        this.#reportOnce('send', `cannot notify the service manager: ${errorTextWithPath(error)}`);
      }
    });
  }

  /** Reports a fault once, and again only after it has been resolved. */
  #reportOnce(fault: 'alive' | 'send', message: string): void {
    if (this.#reported.has(fault) || this.#isClosed) return;
    this.#reported.add(fault);
    this.#options.report('warn', message);
  }
}
