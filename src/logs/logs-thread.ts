/**
 * Proxy of the log workers: assigns streams to them, forwards their events, and assigns the streams again after a
 * crash.
 *
 * Long because the events of a worker change the state of its captures, which is private to this file.
 */
import { closeSync } from 'node:fs';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { errorCode, errorText, errorTextWithPath, MonocoreError } from '../lib/errors.ts';
import { CallBatch } from '../lib/event-loop-batch.ts';
import { deferred, within } from '../lib/promises.ts';
import type { Report } from '../lib/report.ts';
import { recordTime } from '../protocol/log-files/formats.ts';
import type { Position, StreamName } from '../protocol/log-files/names.ts';
import type { LogQuery } from '../protocol/log-files/queries.ts';
import { DEFAULT_LOG_SETTINGS, type LogSettings } from '../protocol/log-settings.ts';
import type { HeldOutput, LogEvent, LogsApi, SearchEvent, StreamSource } from '../protocol/logs.ts';
import type { CaptureHandlers, LogSink } from '../supervisor/interfaces.ts';
import { type Remote, transfer } from '../threads/rpc.ts';
import { WorkerThread } from '../threads/worker-thread.ts';
import { Handover } from './handover.ts';
import { LogSearches, type RunSearch, readFirst, readLines } from './log-reading.ts';
import { PartialLines, type RunMatch } from './partial-lines.ts';
import type { LogRetention } from './retention.ts';
import { WriteFailures } from './write-failures.ts';

/** Longest time until a worker has opened a stream. */
const OPEN_TIMEOUT_MS = 10_000;
// A stream may be opened after its time; that must not be missed.
const DEADLINES = { defaultMs: 10_000, perMethodMs: { close: null, openStreams: null } } as const;
const LOST_TEXT = 'what it prints from now on is lost';

interface LogThreadOptions {
  /** Number of threads that share the streams; 1 by default. The first one also serves all readers. */
  readonly workers?: number;
  /** Is told about finished files; without it nothing is compressed or removed. */
  readonly retention?: LogRetention | null;
  /** Runs the jobs of searches; without it searching is not possible. */
  readonly runSearch?: RunSearch;
  /** Runs the jobs that match unfinished lines; without it they are ignored. */
  readonly runMatch?: RunMatch;
  /** Maximum time without a sign of life from a page of a search; 10 s by default. */
  readonly pageSilenceMs?: number;
  /** 10 s by default. */
  readonly openTimeoutMs?: number;
  /** Called when the worker that serves readers is available again after a crash; ports to it must be recreated. */
  readonly onRestart?: () => void;
}

/** Thread that captures streams. */
interface LogWorker {
  readonly thread: WorkerThread<LogsApi, LogEvent | SearchEvent>;
  /** Null while the worker must not be called. */
  api: Remote<LogsApi> | null;
  /** Opens streams in the current thread; null before its first start. */
  opens: CallBatch<StreamSource> | null;
}

/** The log workers. Main thread. */
export class LogThread implements LogSink {
  readonly #workers: readonly LogWorker[];
  readonly #captures = new Map<string, ServiceCapture>();
  /** Of the current or last capture of each service. */
  readonly #begins = new Map<string, CaptureBegin>();
  readonly #removals = new Map<string, Promise<void>>();
  readonly #report: Report;
  readonly #failures: WriteFailures;
  readonly #handover: Handover;
  readonly #retention: LogRetention | null;
  readonly #searches: LogSearches;
  readonly #openTimeoutMs: number;
  readonly #partialLines: PartialLines;

  constructor(logDir: string, report: Report, options: LogThreadOptions = {}) {
    const { workers = 1, retention = null, runSearch, runMatch, openTimeoutMs = OPEN_TIMEOUT_MS } = options;
    this.#openTimeoutMs = openTimeoutMs;
    this.#report = report;
    this.#failures = new WriteFailures(report);
    this.#handover = new Handover(report);
    this.#retention = retention;
    this.#searches = new LogSearches(runSearch);
    this.#partialLines = new PartialLines(runMatch, report);
    this.#workers = Array.from({ length: workers }, (_, index) => this.#newWorker(logDir, index, options));
  }

  /** The worker that serves readers. */
  get thread(): LogWorker['thread'] {
    return this.#workers[0]!.thread;
  }

  /** Workers; the first one serves readers. */
  get workers(): LogWorker['thread'][] {
    return this.#workers.map(({ thread }) => thread);
  }

  /** Starts the workers. Throws `ThreadDied` or `CallTimeout` if one does not become ready. */
  async start(): Promise<void> {
    await Promise.all(this.#workers.map(({ thread }) => thread.start()));
  }

  async capture(
    service: string,
    streams: readonly { readonly stream: StreamName; readonly fd: number }[],
    handlers: CaptureHandlers,
    settings: LogSettings = DEFAULT_LOG_SETTINGS,
  ): Promise<void> {
    const worker = leastLoaded(this.#workers, this.#captures.values());
    const names = streams.map(({ stream }) => stream);
    const capture = new ServiceCapture(worker, names, handlers, settings);
    try {
      await this.#removals.get(service);
      await this.#awaitRefused(service);
      await this.#retention?.begin(service, settings);
      await worker.thread.ready();
    } catch (error) {
      for (const { fd } of streams) closeSync(fd);
      this.#retention?.end(service);
      throw error;
    }
    this.#captures.set(service, capture);
    const { continues = false } = handlers;
    this.#begins.set(service, new CaptureBegin(names, continues));
    const sources = streams.map(({ stream, fd }) => ({
      ...{ service, stream, fd, settings, continues },
      tellsPartialLines: wantsPartialLines(handlers, stream),
    }));
    const failures: unknown[] = [];
    const opened = sources.map((source) =>
      worker.opens!.call(source).catch((error: unknown) => {
        failures.push(error);
        // No worker will tell of its end.
        this.#onEvent({ type: 'stream-ended', service, stream: source.stream, bytes: 0, lines: 0 });
      }),
    );
    const isAnswered = await within(Promise.all(opened), this.#openTimeoutMs);
    if (isAnswered && failures.length === 0) return;
    // Streams that are open, or are opened later, must not go on being captured for a service that the caller takes for not
    // started.
    capture.isRefused = true;
    void Promise.all(opened).then(() => this.closeStreams(service, true));
    if (!isAnswered) throw this.#slowOpening(service);
    await capture.ended.promise;
    throw failures[0];
  }

  /** Waits until nothing is left of a capture that was refused. @throws MonocoreError `CallTimeout` */
  async #awaitRefused(service: string): Promise<void> {
    const capture = this.#captures.get(service);
    if (!capture?.isRefused) return;
    const isOver = await within(
      capture.ended.promise.then(() => true),
      this.#openTimeoutMs,
    );
    if (!isOver) throw this.#slowOpening(service);
  }

  #slowOpening(service: string): MonocoreError {
    const message = `the log worker did not open the streams of ${service} in ${this.#openTimeoutMs} ms`;
    return new MonocoreError('CallTimeout', message);
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
      // The next worker receives the marker together with the streams; after a stop there is no next worker.
      await thread.ready();
    }
    send();
    await seen;
  }

  closeStreams(service: string, mayWait: boolean): void {
    const capture = this.#captures.get(service);
    if (!capture) return;
    capture.closing = { mayWait };
    for (const stream of capture.open) capture.worker.thread.tell((api) => api.closeStream(service, stream, mayWait));
  }

  async lastLines(service: string, streams: readonly StreamName[], tail: number, sinceIso: string): Promise<string[]> {
    const begin = this.#begins.get(service);
    if (!begin || begin.continues) return this.lastLinesSince(service, streams, tail, sinceIso);
    const { starts } = begin;
    const opened = streams.filter((stream) => starts[stream]);
    if (opened.length === 0) return [];
    return readLines(await this.thread.ready(), { services: [service], streams: opened, tail, follow: false, starts });
  }

  /** Last records of a service whose time is not before `sinceIso`, whether or not it was captured since. */
  async lastLinesSince(
    service: string,
    streams: readonly StreamName[],
    tail: number,
    sinceIso: string,
  ): Promise<string[]> {
    const query = { services: [service], streams, tail, follow: false };
    const lines = await readLines(await this.thread.ready(), query);
    return lines.filter((line) => recordTime(Buffer.from(line), 0, '') >= sinceIso);
  }

  watchForLine(service: string, pattern: string, sinceMs: number, onSeen: () => void): () => void {
    const ended = new AbortController();
    const endPartial = this.#partialLines.watch(service, pattern, () => {
      ended.abort();
      onSeen();
    });
    const onRecord = (): void => {
      endPartial();
      onSeen();
    };
    this.#searchForLine(service, pattern, sinceMs, onRecord, ended).catch((error: unknown) => {
      this.#report('warn', `${service}: its log cannot be searched for ${pattern}: ${errorText(error)}`);
    });
    return () => {
      endPartial();
      ended.abort();
    };
  }

  /** Aborts `ended` at the first line. What this daemon has captured is found by its place: a clock may be set back. */
  async #searchForLine(
    service: string,
    pattern: string,
    sinceMs: number,
    onSeen: () => void,
    ended: AbortController,
  ): Promise<void> {
    const begin = this.#begins.get(service);
    const search = async (how: Pick<LogQuery, 'follow' | 'starts'>, since: number | null): Promise<void> => {
      if (ended.signal.aborted) return;
      const filter = { sinceMs: since, untilMs: null, grep: { source: pattern, ignoreCase: false } };
      const query: LogQuery = { services: [service], streams: ['stdout', 'stderr'], tail: null, filter, ...how };
      await readFirst(this.thread, query, onSeen, ended);
    };
    // An earlier daemon may have captured the line.
    if (begin?.continues !== false) await search({ follow: false }, sinceMs);
    await begin?.opened.promise;
    await search({ follow: true, starts: begin?.starts ?? {} }, begin ? null : sinceMs);
  }

  /** Serves log readers on `port`. */
  connect(port: MessagePort): void {
    this.thread
      .ready()
      .then((api) => api.connect(transfer(port, [port])))
      .catch(() => port.close());
  }

  async removeLogs(service: string): Promise<void> {
    const removal = this.#retention
      ? this.#retention.whileRemoving(service, () => this.#removeFiles(service))
      : this.#removeFiles(service);
    const done = removal.finally(() => this.#removals.delete(service));
    // A capture waits for the removal.
    this.#removals.set(
      service,
      done.catch(() => {}),
    );
    await done;
  }

  /** Ends the workers once everything that they have read has been written and delivered to readers. */
  async stop(): Promise<void> {
    const [reader, ...others] = this.workers;
    await Promise.all(others.map((thread) => thread.stop((api) => api.close())));
    await reader?.stop((api) => api.close());
    this.#failures.close();
    this.#handover.close();
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
        if (index === 0) this.#searches.cancelAll();
        this.#report('error', `${error.message}; restarting it`);
      },
      onReady: async (api) => {
        worker.opens = new CallBatch(async (sources) => {
          const errors = await api.openStreams(sources);
          for (const [index, { fd }] of sources.entries()) if (errors[index]) closeSync(fd);
          return errors;
        });
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

  /** Connects the worker that serves readers to the others, provided that both are running. */
  #introduce(worker: LogWorker): void {
    const [reader, ...others] = this.#workers;
    for (const other of worker === reader ? others : [worker]) {
      if (!reader?.api || !other.api) continue;
      const { port1, port2 } = new MessageChannel();
      // A worker that dies meanwhile is connected after its restart.
      reader.api.followPeer(transfer(port1, [port1])).catch(() => {});
      other.api.tellPeer(transfer(port2, [port2])).catch(() => {});
    }
  }

  async #removeFiles(service: string): Promise<void> {
    await this.#awaitRefused(service);
    if (this.#captures.has(service)) {
      throw new MonocoreError('Internal', `${service} is still captured: its files cannot be removed`);
    }
    await (await this.thread.ready()).removeLogs(service);
    this.#begins.delete(service);
  }

  #onEvent(event: LogEvent): void {
    const { service, stream } = event;
    const capture = this.#captures.get(service);
    switch (event.type) {
      case 'stream-ended':
        this.#failures.end(event);
        this.#handover.forget(event);
        if (!capture?.markEnded(stream)) return;
        this.#captures.delete(service);
        this.#partialLines.forget(service);
        this.#retention?.end(service);
        capture.handlers.onEnded();
        return;
      case 'stream-held':
        // The process of a refused capture may still be running.
        if (!capture?.isRefused)
          this.#report('warn', `${service}: a process that outlived it holds its ${stream} open; ${LOST_TEXT}`);
        return;
      case 'lost': {
        const { bytes } = event;
        this.#report(
          'error',
          `${service}: the last ${bytes} bytes of its ${stream} were lost: they could not be written`,
        );
        return;
      }
      case 'marker-seen':
        capture?.markSeen(stream);
        return;
      case 'partial-line':
        this.#partialLines.note(event, event.text);
        return;
      case 'stalled':
        this.#failures.begin(event, event);
        capture?.markStalled(stream, event.error);
        return;
      case 'recovered':
        this.#failures.end(event);
        capture?.markStalled(stream, null);
        return;
      case 'held':
        this.#handover.keep(event, event.held);
        return;
      case 'dropped': {
        const { lines, bytes } = event;
        this.#report('warn', `${service}: ${lines} lines of its ${stream} were dropped`, { service, lines, bytes });
        return;
      }
      case 'opened':
        this.#begins.get(service)?.markOpened(stream, event.at);
        return;
      case 'file-finished':
        this.#retention?.onFinished({ service, stream }, event.number);
        return;
    }
  }

  /** Assigns every stream to the new worker, including markers that have not arrived yet. */
  async #giveAgain(worker: LogWorker, api: Remote<LogsApi>): Promise<void> {
    for (const [service, capture] of this.#captures) {
      if (capture.worker !== worker) continue;
      const { open, settings, handlers, isRefused } = capture;
      for (const stream of open) {
        if (isRefused) {
          this.#onEvent({ type: 'stream-ended', service, stream, bytes: 0, lines: 0 });
          continue;
        }
        // If the stream still fails, the new worker reports it.
        this.#failures.end({ service, stream });
        capture.markStalled(stream, null);
        let fd: number;
        try {
          fd = capture.handlers.reopen(stream);
        } catch (error) {
          this.#report('error', `${service}: its ${stream} cannot be opened again: ${errorTextWithPath(error)}`);
          // No worker will report their end.
          this.#onEvent({ type: 'stream-ended', service, stream, bytes: 0, lines: 0 });
          continue;
        }
        try {
          const held = this.#handover.give({ service, stream });
          const tellsPartialLines = wantsPartialLines(handlers, stream);
          const state = { continues: true, tellsPartialLines, held, ...capture.markerOf(stream, held) };
          const opened = worker.opens!.call({ service, stream, fd, settings, ...state }).then(async () => {
            if (capture.closing) await api.closeStream(service, stream, capture.closing.mayWait);
            return true;
          });
          // One that is opened later is captured all the same.
          if (!(await within(opened, this.#openTimeoutMs))) throw this.#slowOpening(service);
        } catch (error) {
          this.#report('error', `${service}: its ${stream} cannot be captured again: ${errorText(error)}`);
        }
      }
    }
  }
}

/** Place in the files of a service where a capture begins. */
class CaptureBegin {
  /** True if the service ran before the capture. */
  readonly continues: boolean;
  readonly starts: { [Stream in StreamName]?: Position } = {};
  /** Resolves when the files of stdout and stderr are open. */
  readonly opened = deferred();
  readonly #missing: Set<StreamName>;

  constructor(streams: readonly StreamName[], continues: boolean) {
    this.continues = continues;
    this.#missing = new Set(streams.filter((stream) => stream !== 'console'));
  }

  /** Records where a stream begins. A worker that goes on after a crash does not change that. */
  markOpened(stream: StreamName, at: Position): void {
    this.starts[stream] ??= at;
    if (this.#missing.delete(stream) && this.#missing.size === 0) this.opened.resolve();
  }
}

interface Marker {
  readonly marker: string | null;
  readonly awaited: Set<StreamName>;
  readonly onSeen: () => void;
}

/** Captured streams of a service, all in the same worker. */
class ServiceCapture {
  readonly worker: LogWorker;
  readonly handlers: CaptureHandlers;
  readonly settings: LogSettings;
  /** Streams that have not ended yet. */
  readonly open: Set<StreamName>;
  /** Resolves when all streams have ended. */
  readonly ended = deferred();
  /** Set while the streams are being ended, even if a process still holds them open. */
  closing: { readonly mayWait: boolean } | null = null;
  /** True if a stream could not be opened, so that the caller does not know about the others. */
  isRefused = false;
  /** Reasons why streams cannot be written. */
  readonly #stalled = new Map<StreamName, string>();
  #marker: Marker | null = null;

  constructor(worker: LogWorker, streams: readonly StreamName[], handlers: CaptureHandlers, settings: LogSettings) {
    this.worker = worker;
    this.open = new Set(streams);
    this.handlers = handlers;
    this.settings = settings;
  }

  /** Resolves when each of `streams` has delivered `marker` or has ended. */
  awaitMarker(marker: string | null, streams: readonly StreamName[]): Promise<void> {
    return new Promise((onSeen) => {
      this.#marker = { marker, awaited: new Set(streams), onSeen };
    });
  }

  /**
   * Marker that a stream has not delivered yet.
   *
   * @param held may contain a marker that the previous thread has already seen
   */
  markerOf(stream: StreamName, held: HeldOutput | null): { readonly marker?: string | null } {
    if (held?.items.some(({ type }) => type === 'marker-seen')) return {};
    return this.#marker?.awaited.has(stream) ? { marker: this.#marker.marker } : {};
  }

  markSeen(stream: StreamName): void {
    if (this.#marker?.awaited.delete(stream) && this.#marker.awaited.size === 0) this.#marker.onSeen();
  }

  /** Records why a stream cannot be written; null if it can be written again or has ended. */
  markStalled(stream: StreamName, error: string | null): void {
    if (error !== null) this.#stalled.set(stream, `${stream}: ${error}`);
    else if (!this.#stalled.delete(stream)) return;
    const [reason = null] = this.#stalled.values();
    this.handlers.onStalled?.(reason);
  }

  /** Records the end of a stream; returns true for the last one. */
  markEnded(stream: StreamName): boolean {
    this.markSeen(stream);
    this.markStalled(stream, null);
    this.open.delete(stream);
    if (this.open.size > 0) return false;
    this.ended.resolve();
    return true;
  }
}

/** Worker with the fewest services. */
function leastLoaded(workers: readonly LogWorker[], captures: Iterable<ServiceCapture>): LogWorker {
  const load = new Map(workers.map((worker) => [worker, 0]));
  for (const { worker } of captures) load.set(worker, (load.get(worker) ?? 0) + 1);
  return workers.reduce((least, worker) => (load.get(worker)! < load.get(least)! ? worker : least));
}

/** The console has no line of the service. */
function wantsPartialLines({ tellsPartialLines = false }: CaptureHandlers, stream: StreamName): boolean {
  return tellsPartialLines && stream !== 'console';
}
