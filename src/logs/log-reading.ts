/** Reads and searches logs from the main thread. */
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
 * Passes the records of `query` to `onChunk`, as described at `LogReadEvent`. Main thread.
 *
 * @param onChunk its bytes are valid until the returned promise resolves; at most `READ_WINDOW` calls are pending, so
 * that a slow reader costs no memory
 * @param signal ends the reading; the promise then resolves
 * @throws MonocoreError of the log worker; `ThreadDied` if the worker ends before it has delivered everything
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

/**
 * Limit for a record kept for people; a longer one is cut and ends in `…`. A line from a guest may be megabytes long.
 */
const MAX_RECORD_BYTES = 4 * KIB;

/** Records of `query` in memory, without their newlines and each cut to a few KiB. Throws like {@link readLogs}. */
export async function readLines(api: Remote<LogsApi>, query: LogQuery): Promise<string[]> {
  const lines: string[] = [];
  let pieces: Buffer[] = [];
  // One byte more shows whether the record is longer.
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
 * Follows `query` until its first record, then aborts `ended` and calls `onFirst`, unless `ended` is aborted before.
 * Continues after a crash of the log worker. Main thread. Throws like {@link readLogs}, and `ThreadDied` if the worker
 * is not restarted.
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

/** Runs a job and transfers the port in it; `signal` cancels it. Settles when the job has ended. */
export type RunSearch = (
  job: SearchLogsJob,
  options: { readonly signal: AbortSignal; readonly ports: readonly MessagePort[] },
) => Promise<unknown>;

/**
 * Searches in progress: the log worker requests pages, and the pool runs them. Their results bypass the main thread.
 */
export class LogSearches {
  readonly #run: RunSearch | undefined;
  readonly #running = new Map<number, AbortController>();

  /** Creates the list. @param run if it is missing, every search ends at once */
  constructor(run: RunSearch | undefined) {
    this.#run = run;
  }

  onEvent(event: SearchEvent): void {
    if (event.type === 'search-wanted') this.#start(event);
    else this.#running.get(event.id)?.abort();
  }

  /** Cancels all searches after the log worker has died; its successor numbers pages from 1 again. */
  cancelAll(): void {
    for (const controller of this.#running.values()) controller.abort();
    this.#running.clear();
  }

  /**
   * Starts a page. The job reports the end of the page on the port; a port that closes without a report means that the
   * job was cut off.
   */
  #start({ id, page, port }: Extract<SearchEvent, { type: 'search-wanted' }>): void {
    if (!this.#run) {
      port.close();
      return;
    }
    const controller = new AbortController();
    this.#running.set(id, controller);
    this.#run({ type: 'search-logs', ...page, port }, { signal: controller.signal, ports: [port] })
      // If the job never started, the port is still here.
      .catch(() => port.close())
      .finally(() => {
        if (this.#running.get(id) === controller) this.#running.delete(id);
      });
  }
}
