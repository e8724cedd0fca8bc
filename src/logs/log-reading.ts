/** Reading and searching logs from the main thread. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { errorCode, fromWireError, MonocoreError } from '../lib/errors.ts';
import { deferred } from '../lib/promises.ts';
import { KIB } from '../lib/units.ts';
import type { SearchLogsJob } from '../protocol/jobs.ts';
import type { LogQuery, LogReadEvent } from '../protocol/log-files/queries.ts';
import { LF } from '../protocol/log-files/record.ts';
import type { LogsApi, SearchEvent } from '../protocol/logs.ts';
import { type Remote, transfer } from '../threads/rpc.ts';

/**
 * Passes the records of `query` to `onChunk`, as in `LogReadEvent`. Main thread.
 *
 * @param onChunk its bytes are valid until it has returned, and its promise resolved; `READ_WINDOW` calls at most are
 * pending, so that a slow reader costs no memory
 * @param signal ends the reading, which then resolves
 * @throws MonocoreError of the log worker, `ThreadDied` when that ends before it has delivered
 */
export async function readLogs(
  api: Remote<LogsApi>,
  query: LogQuery,
  onChunk: (bytes: Uint8Array) => void | Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  const done = deferred();
  const onAbort = () => done.resolve();
  signal?.addEventListener('abort', onAbort);
  const take = async (bytes: Uint8Array<ArrayBuffer>): Promise<void> => {
    await onChunk(bytes);
    port1.postMessage(bytes.buffer, [bytes.buffer]);
  };
  port1.on('message', (event: LogReadEvent) => {
    if (event.type === 'chunk') take(event.bytes).catch(done.reject);
    else if (event.type === 'end') done.resolve();
    else done.reject(fromWireError(event.error));
  });
  port1.on('close', () => done.reject(new MonocoreError('ThreadDied', 'the log worker ended while it was read')));
  done.promise.catch(() => {});
  try {
    await api.read(query, transfer(port2, [port2]));
    if (!signal?.aborted) await done.promise;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    port1.close();
  }
}

/** Limit for a record that is kept for people; a longer one ends in `…`. A line of a guest may have megabytes. */
const MAX_RECORD_BYTES = 4 * KIB;

/** The records of `query` without their newlines, in memory, each cut to a few KiB. Throws as {@link readLogs}. */
export async function readLines(api: Remote<LogsApi>, query: LogQuery): Promise<string[]> {
  const lines: string[] = [];
  let pieces: Buffer[] = [];
  // One byte more tells that there is more.
  let missing = MAX_RECORD_BYTES + 1;
  const take = (piece: Buffer): void => {
    if (missing > 0) pieces.push(Buffer.from(piece.subarray(0, missing)));
    missing -= piece.length;
  };
  await readLogs(api, query, (bytes) => {
    let rest = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let end = rest.indexOf(LF); end !== -1; end = rest.indexOf(LF)) {
      take(rest.subarray(0, end));
      const record = Buffer.concat(pieces);
      lines.push(record.toString('utf8', 0, MAX_RECORD_BYTES) + (record.length > MAX_RECORD_BYTES ? '…' : ''));
      pieces = [];
      missing = MAX_RECORD_BYTES + 1;
      rest = rest.subarray(end + 1);
    }
    take(rest);
  });
  return lines;
}

/**
 * Reads `query`, which follows, until its first record: aborts `ended` and calls `onFirst`, unless it is aborted before.
 * Goes on after a crash of the log worker. Main thread. Throws as {@link readLogs}, and `ThreadDied` when there will be no
 * other worker.
 */
export async function readFirst(
  thread: { ready(): Promise<Remote<LogsApi>> },
  query: LogQuery,
  onFirst: () => void,
  ended: AbortController,
): Promise<void> {
  const { signal } = ended;
  const onChunk = (): void => {
    if (signal.aborted) return;
    ended.abort();
    onFirst();
  };
  while (!signal.aborted) {
    const api = await thread.ready();
    try {
      return await readLogs(api, query, onChunk, signal);
    } catch (error) {
      if (errorCode(error) !== 'ThreadDied') throw error;
    }
  }
}

/** Runs a job with the port in it; `signal` cancels it. Settles when the job has ended. */
export type RunSearch = (
  job: SearchLogsJob,
  options: { readonly signal: AbortSignal; readonly ports: readonly MessagePort[] },
) => Promise<unknown>;

/** Searches: the log worker asks for pages, and the pool runs them. What they find goes past the main thread. */
export class LogSearches {
  readonly #run: RunSearch | undefined;
  readonly #running = new Map<number, AbortController>();

  /** @param run without it every search ends at once */
  constructor(run: RunSearch | undefined) {
    this.#run = run;
  }

  onEvent(event: SearchEvent): void {
    if (event.type === 'search-wanted') this.#start(event);
    else this.#running.get(event.id)?.abort();
  }

  /** The log worker died; the next one numbers its pages from 1. */
  cancelAll(): void {
    for (const controller of this.#running.values()) controller.abort();
    this.#running.clear();
  }

  /** The port reports the end of a page; a port that closes without a report was cut off. */
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
