/** Monitors one machine over QMP: reacts to its events and determines why it ended. */
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode, errorText } from '../../lib/errors.ts';
import type { Exit, VmEndReason } from '../backend.ts';
import { QmpClient } from './qmp.ts';

/** Reason for a pause, for people. */
const DISK_FULL = 'the host has no space left for its disk';

/** Interval at which a machine that waits for space on the host's disk is continued. */
const DISK_RETRY_MS = 1000;

/** Number of samples of the processors of a machine that hangs. */
const SAMPLES = 5;
const SAMPLE_INTERVAL_MS = 50;
/** Program counter in the output of QEMU's `info registers`, on x86 and on ARM. */
const PROGRAM_COUNTER = /\b(?:RIP|PC)=([0-9a-f]{8,16})\b/g;

/** Evidence on the end of a QEMU process. */
export interface EndSigns {
  readonly exit: Exit;
  /** True if it was asked to end. */
  readonly asked: boolean;
  readonly panicked: boolean;
  /** True if it sent so many events that it was killed: a guest can cause them. */
  readonly flooded: boolean;
  /** `reason` of its SHUTDOWN event, see `ShutdownCause` in QEMU's QMP reference; null if there was none. */
  readonly cause: string | null;
  /** True if its events were received to the end, so that a missing event was never sent. */
  readonly heard: boolean;
}

/** Reason for the end; null if it was asked to end or the reason is unknown. */
export function findReason({ exit, asked, panicked, flooded, cause, heard }: EndSigns): VmEndReason | null {
  if (flooded) return 'guest-flood';
  if (panicked || cause === 'guest-panic') return 'guest-panic';
  if (asked) return null;
  if (cause === 'guest-reset' || cause === 'guest-shutdown') return 'guest-reset';
  const failed = exit.signal !== null || (exit.code !== null && exit.code !== 0);
  return failed || (heard && cause === null) ? 'vm-crash' : null;
}

/**
 * Handles the events of one QEMU. When the guest's kernel panics, QEMU pauses the machine, and this ends it. When a
 * write finds no space on the host's disk, QEMU pauses it as well, and this continues it until there is space: the
 * guest never sees an error. Main thread.
 */
export class MachineMonitor {
  readonly qmp: QmpClient;
  readonly #kill: () => void;
  readonly #onPaused: (reason: string | null) => void;
  #panicked = false;
  #flooded = false;
  #cause: string | null = null;
  #retry: NodeJS.Timeout | undefined;
  #isPaused = false;

  /**
   * Creates the monitor.
   *
   * @param kill ends a QEMU that does not quit on request or that misuses its monitor
   * @param onPaused receives the reason for a pause once, and null after the machine has been running again for a while
   */
  constructor(qmpPath: string, kill: () => void, onPaused: (reason: string | null) => void) {
    this.#kill = kill;
    this.#onPaused = onPaused;
    const onOffence = (offence: string): void => {
      this.#flooded = offence === 'flooded';
      kill();
    };
    this.qmp = new QmpClient(qmpPath, (event, data) => this.#onEvent(event, data), onOffence);
    void this.#askForState();
  }

  /** Implements `EndObserver`. */
  async endReason(exit: Exit, asked: boolean): Promise<VmEndReason | null> {
    const heard = await this.qmp.ended();
    this.qmp.close();
    clearTimeout(this.#retry);
    const [panicked, flooded, cause] = [this.#panicked, this.#flooded, this.#cause];
    return findReason({ exit, asked, panicked, flooded, cause, heard });
  }

  /**
   * Code addresses of the processors, sampled several times: repeated ones suggest a loop. Takes a few seconds at most.
   */
  async examine(): Promise<string> {
    const places: string[] = [];
    try {
      for (let sample = 0; sample < SAMPLES; sample += 1) {
        const registers = String(await this.qmp.executeForPeople('info registers -a'));
        places.push([...registers.matchAll(PROGRAM_COUNTER)].map(([, at]) => at).join(','));
        await delay(SAMPLE_INTERVAL_MS);
      }
    } catch (error) {
      places.push(errorText(error));
    }
    return `its processors are at ${places.join('; ')}`;
  }

  /**
   * Asks for the state, because the machine may have been paused while no daemon was listening. Repeats until there is
   * an answer or the connection closes.
   */
  async #askForState(): Promise<void> {
    try {
      const answer = (await this.qmp.execute('query-status')) as { status?: unknown } | null;
      if (answer?.status === 'guest-panicked') this.#onPanic();
      if (answer?.status === 'io-error') this.#continueSoon();
    } catch (error) {
      if (errorCode(error) === 'CallTimeout') await this.#askForState();
    }
  }

  #onEvent(event: string, { reason, action }: Record<string, unknown>): void {
    if (event === 'GUEST_PANICKED') this.#onPanic();
    if (event === 'BLOCK_IO_ERROR' && action === 'stop') this.#continueSoon();
    if (event === 'SHUTDOWN' && typeof reason === 'string') this.#cause = reason;
  }

  #onPanic(): void {
    if (this.#panicked) return;
    this.#panicked = true;
    this.qmp.execute('quit').catch(() => this.#kill());
  }

  /** Continues the machine. QEMU then repeats each blocked write, and pauses the machine again if one fails. */
  #continueSoon(): void {
    this.#setPaused(true);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.qmp.execute('cont').catch(() => {});
      this.#retry = setTimeout(() => this.#setPaused(false), DISK_RETRY_MS);
    }, DISK_RETRY_MS);
  }

  #setPaused(isPaused: boolean): void {
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    this.#onPaused(isPaused ? DISK_FULL : null);
  }
}
