/** What QEMU tells of its machine over QMP, and what is done about it. */
import { errorCode } from '../../lib/errors.ts';
import type { Exit, VmEndReason } from '../backend.ts';
import { findReason } from './end-reason.ts';
import { QmpClient } from './qmp.ts';

/** Why a machine stands still, for people. */
const NO_ROOM = 'there is no room for its disk on the host';

/** How often a machine that waits for room on the host's disk is let try again. */
const DISK_RETRY_MS = 1000;

/**
 * Listens to one QEMU. QEMU pauses the machine when the guest's kernel panics, and this ends it; and it pauses it when a
 * write finds no room on the host's disk, and this lets it go on until there is: the guest never sees an error. Main
 * thread.
 */
export class MachineMonitor {
  readonly qmp: QmpClient;
  readonly #kill: () => void;
  readonly #onPaused: (reason: string | null) => void;
  #panicked = false;
  #cause: string | null = null;
  #retry: NodeJS.Timeout | undefined;
  #isPaused = false;

  /**
   * @param kill for a QEMU that does not end when it is told
   * @param onPaused told why the machine stands still, once, and null when it has gone on for a while
   */
  constructor(qmpPath: string, kill: () => void, onPaused: (reason: string | null) => void) {
    this.#kill = kill;
    this.#onPaused = onPaused;
    this.qmp = new QmpClient(qmpPath, (event, data) => this.#onEvent(event, data));
    void this.#askForState();
  }

  /**
   * Why the machine ended, once QEMU was heard to the end; see {@link findReason}.
   *
   * @param exit how its process ended, which it has
   * @param asked whether it was told to
   */
  async endReason(exit: Exit, asked: boolean): Promise<VmEndReason | null> {
    const heard = await this.qmp.ended();
    this.qmp.close();
    clearTimeout(this.#retry);
    return findReason({ exit, asked, panicked: this.#panicked, cause: this.#cause, heard });
  }

  /** It may have been paused while no daemon listened. Asks until there is an answer, or the connection is given up. */
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

  /** Each write that was held up is tried again then, and pauses the machine again where it fails. */
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
    this.#onPaused(isPaused ? NO_ROOM : null);
  }
}
