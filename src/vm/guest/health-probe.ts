/** Health probes of one guest: their commands on the control port, and the answers. */
import { within } from '../../lib/promises.ts';
import { KIB } from '../../lib/units.ts';
import { CANCELLED, noAnswer, type ProbeResult } from '../../protocol/supervision.ts';
import type { VmProbe } from '../backend.ts';
import type { ControlChannel, ProbeAnswer } from './control-channel.ts';

/** Time for the guest to say that it has killed a probe. */
const ABORT_TIMEOUT_MS = 1000;
/** Number of unread bytes above which no probe is sent: a guest whose VM was paused must not find hours of probes. */
const MAX_UNREAD_BYTES = 64 * KIB;
/** First line of an HTTP response: RFC 9112, section 4. */
const STATUS_LINE = /^HTTP\/\d(?:\.\d)? (\d{3})\b/;

/** Result that an answer means for the service. */
export function judgeAnswer({ type }: VmProbe, { status, text }: ProbeAnswer): ProbeResult {
  if (type === 'exec') {
    return { ok: status === 0 && text === '', detail: text || `exit code ${status}` };
  }
  // A connection over loopback is accepted or refused; a port that does neither produces no answer.
  if (status !== 0) return { ok: false, detail: 'connection refused' };
  if (type === 'tcp') return { ok: true, detail: 'connection accepted' };
  const code = STATUS_LINE.exec(text)?.[1];
  if (code === undefined) return { ok: false, detail: 'no HTTP response' };
  return { ok: code >= '200' && code < '400', detail: `status ${code}` };
}

type ProbeSender = Pick<ControlChannel, 'sendProbe' | 'sendAbort' | 'unreadBytes'>;

/** Sends probes to the guest and passes each reply to its caller. Main thread. */
export class GuestProbes {
  readonly #control: ProbeSender;
  /** By session. A text is the reason why no answer comes. */
  readonly #waiting = new Map<number, (outcome: ProbeAnswer | string) => void>();
  #closed: string | null = null;

  constructor(control: ProbeSender) {
    this.#control = control;
  }

  /**
   * Probes once; never rejects. The guest kills a probe that has not ended after `timeoutMs` or when `signal` fires.
   *
   * @param timeoutMs counted from now on, so it includes the transfer to the guest
   */
  async ask(probe: VmProbe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
    if (this.#closed !== null) return { ok: false, detail: this.#closed };
    if (signal.aborted) return CANCELLED;
    if (this.#control.unreadBytes > MAX_UNREAD_BYTES)
      return { ok: false, detail: 'the guest does not read its control port' };
    const session = this.#control.sendProbe(probe, timeoutMs);
    const answered = new Promise<ProbeAnswer | string>((resolve) => this.#waiting.set(session, resolve));
    try {
      const answer = await within(answered, timeoutMs, { signal });
      if (typeof answer === 'string') return { ok: false, detail: answer };
      if (answer) return judgeAnswer(probe, answer);
      this.#control.sendAbort(session);
      await within(answered, ABORT_TIMEOUT_MS);
      return signal.aborted ? CANCELLED : noAnswer(timeoutMs);
    } finally {
      this.#waiting.delete(session);
    }
  }

  /** Takes an answer of the guest; one that has no caller any more is dropped. */
  answer(session: number, answer: ProbeAnswer): void {
    this.#waiting.get(session)?.(answer);
  }

  /** Ends all probes, including later ones, with `detail`. */
  close(detail: string): void {
    this.#closed ??= detail;
    for (const end of [...this.#waiting.values()]) end(detail);
  }
}
