/** A log worker inside the test's own thread, with real FIFOs and real files. */

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { constants, openSync, readdirSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { type Clock, systemClock } from '../../../src/lib/clock.ts';
import { fromWireError } from '../../../src/lib/errors.ts';
import { parseFileName, type StreamName } from '../../../src/protocol/log-files/names.ts';
import type { LogQuery, LogReadEvent } from '../../../src/protocol/log-files/queries.ts';
import { DEFAULT_LOG_SETTINGS, type LogSettings } from '../../../src/protocol/log-settings.ts';
import type { LogEvent, LogsApi, StreamSource } from '../../../src/protocol/logs.ts';
import { type PageLimits, searchLogs } from '../../../workers/jobs/logs/search.ts';
import { createLogs } from '../../../workers/logs/api.ts';
import type { StartPage } from '../../../workers/logs/read/log-search.ts';
import { makeTempDir } from '../temp.ts';
import { openStream } from './open-stream.ts';

const PREFIX = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+\+? \[[^\]]+\] /;

/** Everything that was posted, and a way to wait for what will be. */
export class EventLog {
  readonly events: LogEvent[] = [];
  #wake: (() => void)[] = [];

  readonly post = (event: LogEvent): void => {
    this.events.push(event);
    for (const wake of this.#wake.splice(0)) wake();
  };

  /** The first event of that type, about `stream` where one is named. */
  async next<T extends LogEvent['type']>(type: T, stream?: StreamName): Promise<Extract<LogEvent, { type: T }>> {
    for (;;) {
      const found = this.events.find((event) => event.type === type && (!stream || event.stream === stream));
      if (found) return found as Extract<LogEvent, { type: T }>;
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** Reports in order, without those that the main thread keeps for the next worker. */
  types(): string[] {
    return this.events.map(({ type }) => type).filter((type) => type !== 'held' && type !== 'opened');
  }
}

/** Writing end of a stream as a VM holds it: open for reading, too. */
export class TestStream {
  /** The reading end; the log worker owns it once the stream is open. */
  readonly fd: number;
  readonly path: string;
  readonly writer: Socket;

  constructor(fifoPath: string) {
    this.path = fifoPath;
    execFileSync('mkfifo', [fifoPath]);
    this.fd = openSync(fifoPath, constants.O_RDONLY | constants.O_NONBLOCK);
    const fd = openSync(fifoPath, constants.O_RDWR | constants.O_NONBLOCK);
    this.writer = new Socket({ fd, readable: false, writable: true });
  }

  /** Settles when the pipe has taken everything. */
  async write(bytes: string | Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.writer.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Closes the writing end: the worker reads the rest, then end of file. */
  async end(): Promise<void> {
    if (this.writer.closed) return;
    const closed = once(this.writer, 'close');
    this.writer.destroy();
    await closed;
  }
}

export interface TestLogs {
  readonly api: LogsApi;
  readonly log: EventLog;
  readonly dir: string;
  open(
    service: string,
    stream: StreamName,
    settings?: Partial<LogSettings>,
    source?: Partial<StreamSource>,
  ): Promise<TestStream>;
}

interface TestLogsOptions {
  readonly dir?: string;
  readonly clock?: Clock;
  /** Limits of each page; those of a job by default. */
  readonly limits?: () => PageLimits;
  readonly pageSilenceMs?: number;
}

/**
 * A fresh worker over an empty folder that does not exist yet; closed when the test has ended. Its searches are done in
 * the test's own thread, too.
 */
export async function startLogs(
  t: TestContext,
  { dir, clock = systemClock, limits, pageSilenceMs }: TestLogsOptions = {},
): Promise<TestLogs> {
  const fifoDir = await makeTempDir(t);
  const logDir = dir ?? join(await makeTempDir(t), 'log');
  const log = new EventLog();
  const startPage: StartPage = (page, port) => {
    void searchLogs({ type: 'search-logs', ...page, port }, limits?.());
    // A job ends by itself when its port is closed.
    return () => {};
  };
  const api = createLogs({ logDir, post: log.post, clock, startPage, pageSilenceMs });
  const streams: TestStream[] = [];
  t.after(async () => {
    await api.close();
    for (const stream of streams) await stream.end();
  });
  return {
    api,
    log,
    dir: logDir,
    async open(service, stream, settings = {}, more = {}) {
      const source = new TestStream(join(fifoDir, `${streams.length}.fifo`));
      streams.push(source);
      const whole = { ...DEFAULT_LOG_SETTINGS, ...settings };
      await openStream(api, { service, stream, fd: source.fd, settings: whole, ...more });
      return source;
    },
  };
}

/** Names of the numbered files of a stream, in order. */
export function filesOf(dir: string, service: string, stream: StreamName): string[] {
  return readdirSync(dir)
    .filter((name) => {
      const parsed = parseFileName(name);
      return parsed?.service === service && parsed.stream === stream;
    })
    .sort();
}

/** Everything in the files of a stream, as Latin-1 so that each byte is one character. */
export function contentOf(dir: string, service: string, stream: StreamName): string {
  return filesOf(dir, service, stream)
    .map((name) => readFileSync(join(dir, name), 'latin1'))
    .join('');
}

/** The lines in a text of records, prefixes stripped; throws where one has none. */
export function linesOf(records: string): string[] {
  if (records === '') return [];
  if (!records.endsWith('\n')) throw new Error('the last record has no newline');
  return records
    .slice(0, -1)
    .split('\n')
    .map((record) => {
      if (!PREFIX.test(record)) throw new Error(`no record: ${JSON.stringify(record.slice(0, 80))}`);
      return record.replace(PREFIX, '');
    });
}

/** The reading side of `read`. */
export class TestReader {
  readonly chunks: string[] = [];
  last: LogReadEvent | null = null;
  readonly #port: MessagePort;
  /** Those of chunks that were not answered. */
  readonly #buffers: ArrayBuffer[] = [];
  #wake: (() => void)[] = [];

  /** @param isSlow leaves every chunk without answer, until {@link TestReader.more} */
  constructor(port: MessagePort, isSlow = false) {
    this.#port = port;
    port.on('message', (event: LogReadEvent) => {
      if (event.type === 'chunk') {
        this.chunks.push(Buffer.from(event.bytes).toString('latin1'));
        this.#buffers.push(event.bytes.buffer);
        if (!isSlow) this.more();
      } else {
        this.last = event;
      }
      for (const wake of this.#wake.splice(0)) wake();
    });
  }

  get text(): string {
    return this.chunks.join('');
  }

  /** Gives the buffer of the oldest chunk back that was not answered. */
  more(): void {
    const buffer = this.#buffers.shift();
    if (buffer) this.#port.postMessage(buffer, [buffer]);
  }

  close(): void {
    this.#port.close();
  }

  /** Waits until what came fulfils `condition`. */
  async until(condition: (reader: TestReader) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  /** Everything, once the reader has ended. */
  async ended(): Promise<string> {
    await this.until(({ last }) => last !== null);
    if (this.last?.type === 'error') throw fromWireError(this.last.error);
    return this.text;
  }
}

/** Starts a reader; by default of all records of all streams, without following. */
export async function read(
  t: TestContext,
  api: Pick<LogsApi, 'read'>,
  query: Partial<LogQuery> = {},
  { isSlow = false } = {},
): Promise<TestReader> {
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  const reader = new TestReader(port1, isSlow);
  await api.read(
    { services: [], streams: ['stdout', 'stderr', 'console'], tail: null, follow: false, ...query },
    port2,
  );
  return reader;
}
