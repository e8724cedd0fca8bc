/** Watches lines that have no newline yet: they reach the log files, which searches read, only later or never. Main thread. */
import { errorCode, errorText } from '../lib/errors.ts';
import type { Report } from '../lib/report.ts';
import type { MatchLineJob } from '../protocol/jobs.ts';
import type { StreamId, StreamName } from '../protocol/log-files/names.ts';

/** Interval in which a running match must end; it may be given twice as long. */
const MATCH_TIMEOUT_MS = 10_000;

/** Runs a job of the pool, because a pattern may take years; `signal` cancels it. */
export type RunMatch = (job: MatchLineJob, options: { readonly signal: AbortSignal }) => Promise<boolean>;

interface Watch {
  readonly service: string;
  readonly pattern: string;
  readonly onSeen: () => void;
  /** Texts to match, by stream; a newer one replaces an older one. */
  readonly due: Map<StreamName, string>;
  readonly ended: AbortController;
  isMatching: boolean;
}

export class PartialLines {
  readonly #run: RunMatch | undefined;
  readonly #report: Report;
  /** Last texts of each service. */
  readonly #texts = new Map<string, Map<StreamName, string>>();
  readonly #watches = new Set<Watch>();

  /** @param run without it nothing is ever seen */
  constructor(run: RunMatch | undefined, report: Report) {
    this.#run = run;
    this.#report = report;
  }

  note({ service, stream }: StreamId, text: string): void {
    const texts = this.#texts.get(service) ?? new Map<StreamName, string>();
    this.#texts.set(service, texts.set(stream, text));
    for (const watch of this.#watches) {
      if (watch.service !== service) continue;
      watch.due.set(stream, text);
      void this.#match(watch);
    }
  }

  /** The streams of the service have ended. */
  forget(service: string): void {
    this.#texts.delete(service);
  }

  /**
   * Calls `onSeen` once, when an unfinished line matches; the last one counts, too.
   *
   * @returns a function that ends the watch
   */
  watch(service: string, pattern: string, onSeen: () => void): () => void {
    const due = new Map(this.#texts.get(service));
    const watch: Watch = { service, pattern, onSeen, due, ended: new AbortController(), isMatching: false };
    this.#watches.add(watch);
    void this.#match(watch);
    return () => this.#end(watch);
  }

  #end(watch: Watch): void {
    this.#watches.delete(watch);
    watch.ended.abort();
  }

  async #match(watch: Watch): Promise<void> {
    if (watch.isMatching || !this.#run) return;
    watch.isMatching = true;
    for (let [next] = watch.due; next && !watch.ended.signal.aborted; [next] = watch.due) {
      const [stream, text] = next;
      watch.due.delete(stream);
      const isSeen = await this.#matchOne(watch, this.#run, text);
      if (!isSeen || watch.ended.signal.aborted) continue;
      this.#end(watch);
      watch.onSeen();
    }
    watch.isMatching = false;
  }

  async #matchOne(watch: Watch, run: RunMatch, text: string): Promise<boolean> {
    const pattern = { source: watch.pattern, ignoreCase: false };
    const begun = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    const late = new AbortController();
    let wasRunning = false;
    // The time for which it waits for a thread does not count.
    const timer = setInterval(() => {
      if (wasRunning) late.abort();
      wasRunning = Atomics.load(begun, 0) === 1;
    }, MATCH_TIMEOUT_MS);
    const signal = AbortSignal.any([watch.ended.signal, late.signal]);
    try {
      return await run({ type: 'match-line', pattern, text, begun }, { signal });
    } catch (error) {
      if (!watch.ended.signal.aborted) this.#reportFailure(watch, error);
      return false;
    } finally {
      clearInterval(timer);
    }
  }

  #reportFailure({ service, pattern }: Watch, error: unknown): void {
    const reason =
      errorCode(error) === 'Aborted' ? `it takes more than ${MATCH_TIMEOUT_MS / 1000} s` : errorText(error);
    this.#report('warn', `${service}: an unfinished line cannot be matched against ${pattern}: ${reason}`);
  }
}
