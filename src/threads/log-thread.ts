/** The main thread's side of the log workers: gives them streams, hears of their end, gives them again after a crash. */
import { closeSync } from 'node:fs';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { errorText, MonocoreError } from '../errors.ts';
import type { CaptureHandlers, LogSink, Report } from '../lifecycle/ports.ts';
import type { ThreadStatus } from '../protocol/control.ts';
import { recordTimeOf } from '../protocol/log-record.ts';
import { DEFAULT_LOG_SETTINGS, type LogSettings } from '../protocol/log-settings.ts';
import type { LogEvent, LogsApi, StreamName } from '../protocol/logs.ts';
import { type Remote, transfer } from './comlink.ts';
import type { LogKeeper } from './log-keeper.ts';
import { readLogs } from './log-reading.ts';
import { ThreadService } from './service.ts';

/** Size of a file where the config names none. */
export const MAX_FILE_BYTES = DEFAULT_LOG_SETTINGS.max_size_bytes;

const DEADLINES = { defaultMs: 10_000, perMethodMs: { close: null } } as const;

/** What is not the same everywhere. */
export interface LogThreadOptions {
  /** Threads that share the streams. The first one serves all readers. */
  readonly workers?: number;
  /** Is told of files that are finished; without it nothing is compressed or removed. */
  readonly keeper?: LogKeeper | null;
  /** Called when the worker that serves readers answers again after a crash: ports to it are to be made anew. */
  readonly onRestart?: () => void;
}

interface Marker {
  readonly marker: string;
  readonly awaited: Set<StreamName>;
  readonly onSeen: () => void;
}

interface Capture {
  readonly worker: LogWorker;
  readonly open: Set<StreamName>;
  readonly handlers: CaptureHandlers;
  readonly settings: LogSettings;
  /** Streams that cannot be written, with the reason. */
  readonly stalled: Map<StreamName, string>;
  marker: Marker | null;
}

interface LogWorker {
  readonly thread: ThreadService<LogsApi, LogEvent>;
  /** Null while it is not to be called. */
  api: Remote<LogsApi> | null;
}

/** The log workers. Main thread. */
export class LogThread implements LogSink {
  readonly #workers: readonly LogWorker[];
  readonly #captures = new Map<string, Capture>();
  readonly #removals = new Map<string, Promise<void>>();
  readonly #report: Report;
  readonly #keeper: LogKeeper | null;

  constructor(logDir: string, report: Report, { workers = 1, keeper = null, onRestart }: LogThreadOptions = {}) {
    this.#report = report;
    this.#keeper = keeper;
    this.#workers = Array.from({ length: workers }, (_, index) => this.#newWorker(logDir, index, onRestart));
  }

  /** The worker that serves readers. */
  get thread(): ThreadService<LogsApi, LogEvent> {
    return this.#reader.thread;
  }

  /** All of them, the one that serves readers first. */
  get workers(): ThreadService<LogsApi, LogEvent>[] {
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
    const worker = this.#leastLoaded();
    const open = new Set(streams.map(({ stream }) => stream));
    const capture: Capture = { worker, open, handlers, settings, stalled: new Map(), marker: null };
    let api: Remote<LogsApi>;
    try {
      await this.#removals.get(service);
      api = await worker.thread.ready();
    } catch (error) {
      for (const { fd } of streams) closeSync(fd);
      throw error;
    }
    this.#keeper?.know(service, settings);
    this.#captures.set(service, capture);
    try {
      const { continues = false } = handlers;
      await Promise.all(streams.map(({ stream, fd }) => api.openStream({ service, stream, fd, settings, continues })));
    } catch (error) {
      this.#captures.delete(service);
      throw error;
    }
    this.#keeper?.requestPass();
  }

  async awaitMarker(service: string, marker: string, send: () => void): Promise<void> {
    const capture = this.#captures.get(service);
    const awaited = (['stdout', 'stderr'] as const).filter((stream) => capture?.open.has(stream));
    if (!capture || awaited.length === 0) return;
    const seen = new Promise<void>((resolve) => {
      capture.marker = { marker, awaited: new Set(awaited), onSeen: resolve };
    });
    const api = await capture.worker.thread.ready();
    await Promise.all(awaited.map((stream) => api.expectMarker(service, stream, marker)));
    send();
    await seen;
  }

  async awaitReader(service: string): Promise<void> {
    await this.#captures.get(service)?.worker.thread.ready();
  }

  /**
   * The last records of a service, without the newline.
   *
   * @param sinceIso records before this RFC 3339 time belong to an earlier run and are left out
   */
  async lastLines(service: string, streams: readonly StreamName[], tail: number, sinceIso: string): Promise<string[]> {
    const chunks: Uint8Array[] = [];
    const query = { services: [service], streams, tail, follow: false };
    await readLogs(await this.thread.ready(), query, (bytes) => chunks.push(bytes));
    const lines = Buffer.concat(chunks).toString('utf8').split('\n').slice(0, -1);
    return lines.filter((line) => recordTimeOf(line) >= sinceIso);
  }

  watchForLine(): () => void {
    return () => {};
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
  }

  get #reader(): LogWorker {
    return this.#workers[0]!;
  }

  #newWorker(logDir: string, index: number, onRestart: (() => void) | undefined): LogWorker {
    let isFirst = true;
    const thread = new ThreadService<LogsApi, LogEvent>({
      entry: 'logs',
      ...(index === 0 ? {} : { name: `logs-${index + 1}` }),
      data: () => ({ data: { logDir } }),
      deadlines: DEADLINES,
      onEvent: (event) => this.#onEvent(event),
      onDeath: (error) => {
        worker.api = null;
        this.#report('error', `${error.message}; it is started again`);
      },
      onReady: async (api) => {
        await this.#giveAgain(worker, api);
        worker.api = api;
        this.#introduce(worker);
        if (!isFirst && index === 0) onRestart?.();
        isFirst = false;
      },
    });
    const worker: LogWorker = { thread, api: null };
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

  /** All streams of a service are on one worker. */
  #leastLoaded(): LogWorker {
    const load = (worker: LogWorker) => [...this.#captures.values()].filter((own) => own.worker === worker).length;
    return this.#workers.reduce((least, worker) => (load(worker) < load(least) ? worker : least));
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
        this.#markSeen(capture, stream);
        this.#tellStalled(capture, stream, null);
        capture?.open.delete(stream);
        if (capture?.open.size !== 0) return;
        this.#captures.delete(service);
        capture.handlers.onEnded();
        return;
      case 'marker-seen':
        this.#markSeen(capture, stream);
        return;
      case 'stalled':
        this.#report('warn', `${service}: its ${stream} cannot be written: ${event.error}`);
        this.#tellStalled(capture, stream, event.error);
        return;
      case 'recovered':
        this.#report('info', `${service}: its ${stream} is written again`);
        this.#tellStalled(capture, stream, null);
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

  #tellStalled(capture: Capture | undefined, stream: StreamName, error: string | null): void {
    if (!capture) return;
    if (error !== null) capture.stalled.set(stream, `${stream}: ${error}`);
    else if (!capture.stalled.delete(stream)) return;
    const [reason = null] = capture.stalled.values();
    capture.handlers.onStalled?.(reason);
  }

  #markSeen(capture: Capture | undefined, stream: StreamName): void {
    const marker = capture?.marker;
    if (!marker?.awaited.delete(stream)) return;
    if (marker.awaited.size === 0) marker.onSeen();
  }

  /** Opens every stream again and looks for the markers that have not come. */
  async #giveAgain(worker: LogWorker, api: Remote<LogsApi>): Promise<void> {
    for (const [service, capture] of this.#captures) {
      if (capture.worker !== worker) continue;
      const { open, handlers, settings, marker } = capture;
      for (const stream of open) {
        // The new worker says so if it is still so.
        this.#tellStalled(capture, stream, null);
        try {
          const fd = handlers.reopen(stream);
          const awaited = marker?.awaited.has(stream) ? { marker: marker.marker } : {};
          await api.openStream({ service, stream, fd, settings, continues: true, ...awaited });
        } catch (error) {
          this.#report('error', `${service}: its ${stream} cannot be captured again: ${errorText(error)}`);
        }
      }
    }
  }
}
