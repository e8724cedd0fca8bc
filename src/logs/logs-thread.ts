/** The main thread's side of the log workers: gives them streams, hears of their end, gives them again after a crash. */
import { closeSync } from 'node:fs';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { errorCode, errorText, MonocoreError } from '../lib/errors.ts';
import { CallBatch } from '../lib/event-loop-batch.ts';
import type { Report } from '../lib/report.ts';
import type { ThreadStatus } from '../protocol/http.ts';
import { recordTime } from '../protocol/log-files/formats.ts';
import type { StreamName } from '../protocol/log-files/names.ts';
import { DEFAULT_LOG_SETTINGS, type LogSettings } from '../protocol/log-settings.ts';
import type { LogEvent, LogsApi, SearchEvent } from '../protocol/logs.ts';
import type { CaptureHandlers, LogSink } from '../supervisor/interfaces.ts';
import { type Remote, transfer } from '../threads/rpc.ts';
import { WorkerThread } from '../threads/worker-thread.ts';
import { HeldStreams } from './handover.ts';
import { watchForLine } from './line-watch.ts';
import { LogCapture, leastLoaded } from './log-capture.ts';
import { readLines } from './log-reading.ts';
import { LogSearches, type RunSearch } from './log-searches.ts';
import type { LogWorker } from './log-worker.ts';
import type { LogRetention } from './retention.ts';
import { StallReport } from './write-failures.ts';

const DEADLINES = { defaultMs: 10_000, perMethodMs: { close: null } } as const;
const LOST_TEXT = 'what that prints now is lost';

/** What is not the same everywhere. */
export interface LogThreadOptions {
  /** Threads that share the streams. The first one serves all readers. */
  readonly workers?: number;
  /** Is told of files that are finished; without it nothing is compressed or removed. */
  readonly keeper?: LogRetention | null;
  /** Runs the jobs of searches; without it nothing can be searched for. */
  readonly runSearch?: RunSearch;
  /** How long a page of a search may be silent; 10 s by default. */
  readonly pageSilenceMs?: number;
  /** Called when the worker that serves readers answers again after a crash: ports to it are to be made anew. */
  readonly onRestart?: () => void;
}

/** The log workers. Main thread. */
export class LogThread implements LogSink {
  readonly #workers: readonly LogWorker[];
  readonly #captures = new Map<string, LogCapture<LogWorker>>();
  readonly #removals = new Map<string, Promise<void>>();
  readonly #report: Report;
  readonly #stalls: StallReport;
  readonly #held: HeldStreams;
  readonly #keeper: LogRetention | null;
  readonly #searches: LogSearches;

  constructor(logDir: string, report: Report, options: LogThreadOptions = {}) {
    const { workers = 1, keeper = null, runSearch } = options;
    this.#report = report;
    this.#stalls = new StallReport(report);
    this.#held = new HeldStreams(report);
    this.#keeper = keeper;
    this.#searches = new LogSearches(runSearch);
    this.#workers = Array.from({ length: workers }, (_, index) => this.#newWorker(logDir, index, options));
  }

  /** The worker that serves readers. */
  get thread(): LogWorker['thread'] {
    return this.#reader.thread;
  }

  /** All of them, the one that serves readers first. */
  get workers(): LogWorker['thread'][] {
    return this.#workers.map(({ thread }) => thread);
  }

  /** Throws `ThreadDied` or `CallTimeout` when a worker does not become ready. */
  async start(): Promise<void> {
    await Promise.all(this.#workers.map(({ thread }) => thread.start()));
  }

  status(): ThreadStatus[] {
    return this.#workers.map(({ thread }) => thread.status());
  }

  async capture(
    service: string,
    streams: readonly { readonly stream: StreamName; readonly fd: number }[],
    handlers: CaptureHandlers,
    settings: LogSettings = DEFAULT_LOG_SETTINGS,
  ): Promise<void> {
    const worker = leastLoaded(this.#workers, this.#captures.values());
    const names = streams.map(({ stream }) => stream);
    const capture = new LogCapture(worker, names, handlers, settings);
    try {
      await this.#removals.get(service);
      await this.#keeper?.begin(service, settings);
      await worker.thread.ready();
    } catch (error) {
      for (const { fd } of streams) closeSync(fd);
      this.#keeper?.end(service);
      throw error;
    }
    this.#captures.set(service, capture);
    try {
      const { continues = false } = handlers;
      const sources = streams.map(({ stream, fd }) => ({ service, stream, fd, settings, continues }));
      await Promise.all(sources.map((source) => worker.opens!.call(source)));
    } catch (error) {
      this.#captures.delete(service);
      this.#keeper?.end(service);
      throw error;
    }
  }

  async awaitMarker(service: string, marker: string | null, send: () => void): Promise<void> {
    const capture = this.#captures.get(service);
    const awaited = (['stdout', 'stderr'] as const).filter((stream) => capture?.open.has(stream));
    if (!capture || awaited.length === 0) return;
    const seen = capture.awaitMarker(marker, awaited);
    const { thread } = capture.worker;
    const api = await thread.ready();
    try {
      await Promise.all(awaited.map((stream) => api.expectMarker(service, stream, marker)));
    } catch (error) {
      if (errorCode(error) !== 'ThreadDied') throw error;
      // The next worker gets the marker with the streams; after a stop there is none.
      await thread.ready();
    }
    send();
    await seen;
  }

  closeStreams(service: string): void {
    const capture = this.#captures.get(service);
    if (!capture) return;
    capture.isClosing = true;
    for (const stream of capture.open) capture.worker.thread.tell((api) => api.closeStream(service, stream));
  }

  async lastLines(service: string, streams: readonly StreamName[], tail: number, sinceIso: string): Promise<string[]> {
    const query = { services: [service], streams, tail, follow: false };
    const lines = await readLines(await this.thread.ready(), query);
    return lines.filter((line) => recordTime(Buffer.from(line), 0, '') >= sinceIso);
  }

  watchForLine(service: string, pattern: string, sinceMs: number, onSeen: () => void): () => void {
    return watchForLine(this.thread, { service, pattern, sinceMs }, onSeen, this.#report);
  }

  /** Answers `read` on `port`. */
  connect(port: MessagePort): void {
    this.thread
      .ready()
      .then((api) => api.connect(transfer(port, [port])))
      .catch(() => port.close());
  }

  async removeLogs(service: string): Promise<void> {
    const removal = this.#keeper
      ? this.#keeper.whileRemoving(service, () => this.#removeFiles(service))
      : this.#removeFiles(service);
    const done = removal.finally(() => this.#removals.delete(service));
    // A capture only waits for it.
    this.#removals.set(
      service,
      done.catch(() => {}),
    );
    await done;
  }

  /** Ends the workers when all that they have read is on disk; readers get it all. */
  async stop(): Promise<void> {
    const [reader, ...others] = this.#workers;
    await Promise.all(others.map(({ thread }) => thread.stop((api) => api.close())));
    await reader?.thread.stop((api) => api.close());
    this.#stalls.close();
    this.#held.close();
  }

  get #reader(): LogWorker {
    return this.#workers[0]!;
  }

  #newWorker(logDir: string, index: number, { onRestart, pageSilenceMs }: LogThreadOptions): LogWorker {
    let isFirst = true;
    const thread = new WorkerThread<LogsApi, LogEvent | SearchEvent>({
      entry: 'logs',
      ...(index === 0 ? {} : { name: `logs-${index + 1}` }),
      data: () => ({ data: { logDir, pageSilenceMs } }),
      deadlines: DEADLINES,
      onEvent: (event) => ('id' in event ? this.#searches.onEvent(event) : this.#onEvent(event)),
      onDeath: (error) => {
        worker.api = null;
        if (index === 0) this.#searches.callOffAll();
        this.#report('error', `${error.message}; it is started again`);
      },
      onReady: async (api) => {
        worker.opens = new CallBatch((sources) => api.openStreams(sources));
        await this.#giveAgain(worker, api);
        worker.api = api;
        this.#introduce(worker);
        if (!isFirst && index === 0) onRestart?.();
        isFirst = false;
      },
    });
    const worker: LogWorker = { thread, api: null, opens: null };
    return worker;
  }

  /** Lets the worker that serves readers hear of the others, as far as both are there. */
  #introduce(worker: LogWorker): void {
    const others = worker === this.#reader ? this.#workers.slice(1) : [worker];
    for (const other of others) {
      if (!this.#reader.api || !other.api) continue;
      const { port1, port2 } = new MessageChannel();
      // One that dies meanwhile is introduced when it is back.
      this.#reader.api.followPeer(transfer(port1, [port1])).catch(() => {});
      other.api.tellPeer(transfer(port2, [port2])).catch(() => {});
    }
  }

  async #removeFiles(service: string): Promise<void> {
    if (this.#captures.has(service)) {
      throw new MonocoreError('Internal', `${service} is still captured: its files cannot be removed`);
    }
    await (await this.thread.ready()).removeLogs(service);
  }

  #onEvent(event: LogEvent): void {
    const { service, stream } = event;
    const capture = this.#captures.get(service);
    switch (event.type) {
      case 'stream-ended':
        this.#stalls.end(event);
        this.#held.forget(event);
        if (!capture?.markEnded(stream)) return;
        this.#captures.delete(service);
        this.#keeper?.end(service);
        capture.handlers.onEnded();
        return;
      case 'stream-held':
        this.#report('warn', `${service}: a process that outlived it holds its ${stream}; ${LOST_TEXT}`);
        return;
      case 'marker-seen':
        capture?.markSeen(stream);
        return;
      case 'stalled':
        this.#stalls.begin(event, event);
        capture?.markStalled(stream, event.error);
        return;
      case 'recovered':
        this.#stalls.end(event);
        capture?.markStalled(stream, null);
        return;
      case 'held':
        this.#held.keep(event, event.held);
        return;
      case 'dropped': {
        const { lines, bytes } = event;
        this.#report('warn', `${service}: ${lines} lines of its ${stream} were dropped`, { service, lines, bytes });
        return;
      }
      case 'file-finished':
        this.#keeper?.onFinished({ service, stream }, event.number);
        return;
    }
  }

  /** Opens every stream again and looks for the markers that have not come. */
  async #giveAgain(worker: LogWorker, api: Remote<LogsApi>): Promise<void> {
    for (const [service, capture] of this.#captures) {
      if (capture.worker !== worker) continue;
      const { open, settings } = capture;
      for (const stream of open) {
        // The new worker says so if it is still so.
        this.#stalls.end({ service, stream });
        capture.markStalled(stream, null);
        const fd = this.#reopen(service, stream, capture);
        if (fd === null) continue;
        try {
          const held = this.#held.give({ service, stream });
          const state = { continues: true, held, ...capture.markerOf(stream, held) };
          await worker.opens!.call({ service, stream, fd, settings, ...state });
          if (capture.isClosing) await api.closeStream(service, stream);
        } catch (error) {
          this.#report('error', `${service}: its ${stream} cannot be captured again: ${errorText(error)}`);
        }
      }
    }
  }

  /** Null for a stream that is lost, which is its end: nobody would ever tell of another one. */
  #reopen(service: string, stream: StreamName, { handlers }: LogCapture<LogWorker>): number | null {
    try {
      return handlers.reopen(stream);
    } catch (error) {
      this.#report('error', `${service}: its ${stream} cannot be opened again: ${errorText(error)}`);
      this.#onEvent({ type: 'stream-ended', service, stream, bytes: 0, lines: 0 });
      return null;
    }
  }
}
