/** Waits for a line that a service prints. */
import { errorCode, errorText } from '../lib/errors.ts';
import type { Report } from '../lib/report.ts';
import type { LogQuery } from '../protocol/log-files/queries.ts';
import type { LogsApi } from '../protocol/logs.ts';
import type { Remote } from '../threads/rpc.ts';
import { readLogs } from './log-reading.ts';

/** The thread of the log worker that serves readers. */
interface ReadableThread {
  /** Resolves once the worker answers; rejects with `ThreadDied` when it never will again. */
  ready(): Promise<Remote<LogsApi>>;
}

/** Pattern of a line, and the service that prints it. */
interface LineWatch {
  readonly service: string;
  /** JavaScript regular expression, as in `LogPattern`; it runs in the pool of jobs. */
  readonly pattern: string;
  /** Milliseconds since the epoch. */
  readonly sinceMs: number;
}

/**
 * Calls `onSeen` once, when a line of stdout or stderr matches. Goes on after a crash of the log worker. Main thread.
 *
 * @returns a function that ends the search
 */
export function watchForLine(
  thread: ReadableThread,
  { service, pattern, sinceMs }: LineWatch,
  onSeen: () => void,
  report: Report,
): () => void {
  const ended = new AbortController();
  const { signal } = ended;
  const query: LogQuery = {
    services: [service],
    streams: ['stdout', 'stderr'],
    tail: null,
    follow: true,
    filter: { sinceMs, untilMs: null, grep: { source: pattern, ignoreCase: false } },
  };
  const onChunk = (): void => {
    if (signal.aborted) return;
    ended.abort();
    onSeen();
  };
  const search = async (): Promise<void> => {
    while (!signal.aborted) {
      // Rejects when the daemon is stopping.
      const api = await thread.ready();
      try {
        await readLogs(api, query, onChunk, signal);
        return;
      } catch (error) {
        if (errorCode(error) !== 'ThreadDied') throw error;
      }
    }
  };
  search().catch((error: unknown) => {
    report('warn', `${service}: its log cannot be searched for ${pattern}: ${errorText(error)}`);
  });
  return () => ended.abort();
}
