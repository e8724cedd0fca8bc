/** The main thread's side of the log worker: gives it streams, hears of their end, gives them again after a crash. */
import { closeSync } from 'node:fs';
import { MessageChannel } from 'node:worker_threads';
import { errorText, MonocoreError } from '../errors.ts';
import type { CaptureHandlers, LogSink, Report } from '../lifecycle/ports.ts';
import { DEFAULT_LOG_SETTINGS, type LogSettings } from '../protocol/log-settings.ts';
import type { LogEvent, LogQuery, LogReadEvent, LogsApi, StreamName } from '../protocol/logs.ts';
import { type Remote, transfer } from './comlink.ts';
import { ThreadService } from './service.ts';

/** Size of a file where the config names none. */
export const MAX_FILE_BYTES = DEFAULT_LOG_SETTINGS.max_size_bytes;

const DEADLINES = { defaultMs: 10_000, perMethodMs: { close: null } } as const;

interface Marker {
  readonly marker: string;
  readonly awaited: Set<StreamName>;
  readonly onSeen: () => void;
}

interface Capture {
  readonly open: Set<StreamName>;
  readonly handlers: CaptureHandlers;
  readonly settings: LogSettings;
  marker: Marker | null;
}

/** The log worker. Main thread. */
export class LogThread implements LogSink {
  readonly thread: ThreadService<LogsApi, LogEvent>;
  readonly #captures = new Map<string, Capture>();
  readonly #report: Report;

  /** @param onRestart called when the worker answers again after a crash: ports to it are to be made anew */
  constructor(logDir: string, report: Report, onRestart: () => void = () => {}) {
    this.#report = report;
    let first = true;
    this.thread = new ThreadService<LogsApi, LogEvent>({
      entry: 'logs',
      data: () => ({ data: { logDir } }),
      deadlines: DEADLINES,
      onEvent: (event) => this.#onEvent(event),
      onDeath: (error) => report('error', `${error.message}; it is started again`),
      onReady: async (api) => {
        await this.#giveAgain(api);
        if (!first) onRestart();
        first = false;
      },
    });
  }

  async capture(
    service: string,
    streams: readonly { readonly stream: StreamName; readonly fd: number }[],
    handlers: CaptureHandlers,
    settings: LogSettings = DEFAULT_LOG_SETTINGS,
  ): Promise<void> {
    const api = await this.thread.ready().catch((error: unknown) => {
      for (const { fd } of streams) closeSync(fd);
      throw error;
    });
    const capture: Capture = {
      open: new Set(streams.map(({ stream }) => stream)),
      handlers,
      settings,
      marker: null,
    };
    this.#captures.set(service, capture);
    try {
      await Promise.all(streams.map(({ stream, fd }) => api.openStream({ service, stream, fd, settings })));
    } catch (error) {
      this.#captures.delete(service);
      throw error;
    }
  }

  async awaitMarker(service: string, marker: string, send: () => void): Promise<void> {
    const capture = this.#captures.get(service);
    const awaited = (['stdout', 'stderr'] as const).filter((stream) => capture?.open.has(stream));
    if (!capture || awaited.length === 0) return;
    const seen = new Promise<void>((resolve) => {
      capture.marker = { marker, awaited: new Set(awaited), onSeen: resolve };
    });
    const api = await this.thread.ready();
    await Promise.all(awaited.map((stream) => api.expectMarker(service, stream, marker)));
    send();
    await seen;
  }

  /**
   * The last records of a service, without the newline.
   *
   * @param sinceIso records before this RFC 3339 time belong to an earlier run and are left out
   */
  async lastLines(service: string, streams: readonly StreamName[], tail: number, sinceIso: string): Promise<string[]> {
    const chunks: Uint8Array[] = [];
    await this.#read({ services: [service], streams, tail, follow: false }, (bytes) => chunks.push(bytes));
    const lines = Buffer.concat(chunks).toString('utf8').split('\n').slice(0, -1);
    return lines.filter((line) => line.slice(0, sinceIso.length) >= sinceIso);
  }

  async removeLogs(service: string): Promise<void> {
    await (await this.thread.ready()).removeLogs(service);
  }

  /** Ends the worker when all that it has read is on disk. */
  async stop(): Promise<void> {
    await this.thread.stop((api) => api.close());
  }

  async #read(query: LogQuery, onChunk: (bytes: Uint8Array) => void): Promise<void> {
    const api = await this.thread.ready();
    const { port1, port2 } = new MessageChannel();
    try {
      const done = new Promise<void>((resolve, reject) => {
        port1.on('message', (event: LogReadEvent) => {
          if (event.type === 'chunk') {
            onChunk(event.bytes);
            port1.postMessage('more');
          } else if (event.type === 'end') resolve();
          else reject(new MonocoreError('Internal', event.message));
        });
        port1.on('close', () => reject(new MonocoreError('ThreadDied', 'the log worker ended while it was read from')));
      });
      done.catch(() => {});
      await api.read(query, transfer(port2, [port2]));
      await done;
    } finally {
      port1.close();
    }
  }

  #onEvent(event: LogEvent): void {
    const capture = this.#captures.get(event.service);
    switch (event.type) {
      case 'stream-ended':
        this.#markSeen(capture, event.stream);
        capture?.open.delete(event.stream);
        if (capture?.open.size !== 0) return;
        this.#captures.delete(event.service);
        capture.handlers.onEnded();
        return;
      case 'marker-seen':
        this.#markSeen(capture, event.stream);
        return;
      case 'stalled':
        this.#report('warn', `${event.service}: its ${event.stream} cannot be written, waiting: ${event.error}`);
        return;
      case 'recovered':
        this.#report('info', `${event.service}: its ${event.stream} is written again`);
        return;
      case 'dropped':
      case 'file-finished':
        return;
    }
  }

  #markSeen(capture: Capture | undefined, stream: StreamName): void {
    const marker = capture?.marker;
    if (!marker?.awaited.delete(stream)) return;
    if (marker.awaited.size === 0) marker.onSeen();
  }

  /** Opens every stream again and looks for the markers that have not come. */
  async #giveAgain(api: Remote<LogsApi>): Promise<void> {
    for (const [service, { open, handlers, settings, marker }] of this.#captures) {
      for (const stream of open) {
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
