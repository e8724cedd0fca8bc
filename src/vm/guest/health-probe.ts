/** The probes of one guest that wait for an answer. */
import { randomBytes } from 'node:crypto';
import { within } from '../../lib/promises.ts';
import type { ProbeResult, VmProbe } from '../backend.ts';
import type { ControlChannel } from './control-channel.ts';
import { judgeAnswer, type ProbeAnswer, renderProbe } from './probe-command.ts';

/** No id of an earlier daemon, whose probes may still be answered, comes again. */
const ID_BYTES = 8;
/** How long the guest may take to say that it has killed a probe. */
const ABORT_TIMEOUT_MS = 1000;

/** Sends probes and gives the answers to who asked. Main thread. */
export class GuestProbes {
  readonly #control: Pick<ControlChannel, 'sendProbe' | 'sendAbort'>;
  /** By id. A text says why there will be no answer. */
  readonly #waiting = new Map<string, (outcome: ProbeAnswer | string) => void>();
  #closed: string | null = null;

  constructor(control: Pick<ControlChannel, 'sendProbe' | 'sendAbort'>) {
    this.#control = control;
  }

  /**
   * Asks once; never rejects. The guest kills what has not ended after `timeoutMs`, or at `signal`.
   *
   * @param timeoutMs counted from now on, so the way to the guest is part of it
   */
  async ask(probe: VmProbe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
    if (this.#closed !== null) return { ok: false, detail: this.#closed };
    if (signal.aborted) return { ok: false, detail: 'cancelled' };
    const id = randomBytes(ID_BYTES).toString('hex');
    const answered = new Promise<ProbeAnswer | string>((resolve) => this.#waiting.set(id, resolve));
    try {
      this.#control.sendProbe(id, timeoutMs, renderProbe(probe));
      const answer = await within(answered, timeoutMs, { signal });
      if (typeof answer === 'string') return { ok: false, detail: answer };
      if (answer) return judgeAnswer(probe, answer);
      this.#control.sendAbort(id);
      await within(answered, ABORT_TIMEOUT_MS);
      return { ok: false, detail: signal.aborted ? 'cancelled' : `no answer in ${timeoutMs / 1000}s` };
    } finally {
      this.#waiting.delete(id);
    }
  }

  /** Takes an answer of the guest; one that nobody waits for is dropped. */
  answer(id: string, answer: ProbeAnswer): void {
    this.#waiting.get(id)?.(answer);
  }

  /** Ends every probe, those that come later included, with `detail`. */
  close(detail: string): void {
    this.#closed ??= detail;
    for (const end of [...this.#waiting.values()]) end(detail);
  }
}
