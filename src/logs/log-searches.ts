/** Searches of log files, between the log worker that asks for them and the pool that runs them. */
import type { MessagePort } from 'node:worker_threads';
import type { SearchLogsJob } from '../protocol/jobs.ts';
import type { SearchEvent } from '../protocol/logs.ts';

/** Runs a job with the port in it; `signal` calls it off. Settles when the job has ended. */
export type RunSearch = (
  job: SearchLogsJob,
  options: { readonly signal: AbortSignal; readonly ports: readonly MessagePort[] },
) => Promise<unknown>;

/** Pages that are at work. Main thread, which sees no byte of what they find: that goes from the job to the log worker. */
export class LogSearches {
  readonly #run: RunSearch | undefined;
  readonly #running = new Map<number, AbortController>();

  /** @param run without it every search is cut off */
  constructor(run: RunSearch | undefined) {
    this.#run = run;
  }

  onEvent(event: SearchEvent): void {
    if (event.type === 'search-wanted') this.#start(event);
    else this.#running.get(event.id)?.abort();
  }

  /** The log worker died; the next one counts anew. */
  callOffAll(): void {
    for (const controller of this.#running.values()) controller.abort();
    this.#running.clear();
  }

  /** How a page ends is told by its port; one that is closed without a last word was cut off. */
  #start({ id, page, port }: Extract<SearchEvent, { type: 'search-wanted' }>): void {
    if (!this.#run) {
      port.close();
      return;
    }
    const controller = new AbortController();
    this.#running.set(id, controller);
    this.#run({ type: 'search-logs', ...page, port }, { signal: controller.signal, ports: [port] })
      // A job that never began has left the port here.
      .catch(() => port.close())
      .finally(() => {
        if (this.#running.get(id) === controller) this.#running.delete(id);
      });
  }
}
