/** The log worker's api: which streams are open, who reads, and how it all ends. */
import { closeSync } from 'node:fs';
import type { MessagePort } from 'node:worker_threads';
import type { Clock } from '../../src/lib/clock.ts';
import { MonocoreError } from '../../src/lib/errors.ts';
import { toWireError, type WireError } from '../../src/lib/wire-error.ts';
import { STREAM_NAMES, type StreamName } from '../../src/protocol/log-files/names.ts';
import type { LogQuery } from '../../src/protocol/log-files/queries.ts';
import type { LogEvent, LogsApi, LogsReadApi, StreamSource } from '../../src/protocol/logs.ts';
import { expose } from '../../src/threads/rpc.ts';
import { Capture } from './capture/capture.ts';
import { markerBytes } from './capture/end-marker.ts';
import { isServiceName, type Position, type StreamId, streamKey } from './capture/file-names.ts';
import { removeServiceFiles } from './capture/removal.ts';
import { DiskPace } from './capture/slow-disk.ts';
import { PeerPositions, PositionTeller } from './capture/writer-positions.ts';
import { FrameMemory } from './format/framer.ts';
import { LogReader } from './read/log-reader.ts';
import type { StartPage } from './read/log-search.ts';
import { SharedListing } from './read/shared-listing.ts';

/** How long {@link LogsApi.close} waits for readers to take what was written last. */
const READERS_TIMEOUT_MS = 1000;
/**
 * A page says once a second that it is alive, unless a single record keeps its pattern busy. One that is silent for so
 * long may be so for years.
 */
const PAGE_SILENCE_MS = 10_000;

/** What the worker is made of. */
export interface LogsOptions {
  /** Absolute path. */
  readonly logDir: string;
  /** Takes the messages to the main thread. */
  readonly post: (event: LogEvent) => void;
  readonly clock: Clock;
  /** Has something done right before the thread ends, if it can still do anything. */
  readonly atExit?: (run: () => void) => void;
  /** Without it nothing can be searched for: readers with a filter get an error. */
  readonly startPage?: StartPage;
  /** 10 s by default. */
  readonly pageSilenceMs?: number | undefined;
}

/** Makes the api that the worker exposes. Everything it does is done in the thread that calls this. */
export function createLogs(options: LogsOptions): LogsApi {
  const { logDir, post, clock, startPage = refusePage, pageSilenceMs = PAGE_SILENCE_MS } = options;
  const memory = new FrameMemory();
  const pace = new DiskPace();
  const listing = new SharedListing();
  const captures = new Map<string, Capture>();
  const readers = new Set<LogReader>();
  /** Removals under way, by service. */
  const removals = new Map<string, Promise<void>>();
  let isClosed = false;
  options.atExit?.(() => {
    for (const capture of captures.values()) capture.handOver();
  });

  const notify = (id: StreamId, settled: Position): void => {
    for (const reader of readers) reader.notify(id, settled);
  };
  const peers = new PeerPositions(notify);
  const teller = new PositionTeller(() =>
    [...captures.values()].flatMap(({ id, settled }) => (settled ? [{ id, settled }] : [])),
  );

  const startCapture = (source: StreamSource): void => {
    const key = streamKey(source);
    checkSource(source);
    const marker = source.marker == null ? source.marker : markerBytes(source.marker);
    if (isClosed) throw new MonocoreError('Internal', `${key} cannot be opened: the log worker is closed`);
    if (captures.has(key)) throw new MonocoreError('Internal', `${key} is open already`);
    const capture: Capture = new Capture({
      source,
      logDir,
      memory,
      pace,
      files: listing.files,
      clock,
      post,
      onRecords: (id, settled) => {
        notify(id, settled);
        teller.move(id, settled);
      },
      onEnded: () => {
        captures.delete(key);
        teller.close(source);
      },
    });
    captures.set(key, capture);
    if (marker !== undefined) capture.expectMarker(marker);
  };

  const openStream = async (source: StreamSource): Promise<WireError | null> => {
    try {
      const removal = removals.get(source.service);
      if (removal) await removal;
      startCapture(source);
      return null;
    } catch (error) {
      closeSync(source.fd);
      return toWireError(error);
    }
  };

  const read = async (query: LogQuery, port: MessagePort): Promise<void> => {
    await peers.acquire();
    const reader = new LogReader({
      logDir,
      query,
      port,
      settledEnd: (id) => captures.get(streamKey(id))?.settled ?? peers.settledEnd(id),
      startPage,
      pageSilenceMs,
      clock,
    });
    readers.add(reader);
    void reader.done.then(() => {
      readers.delete(reader);
      peers.release();
    });
    if (isClosed) reader.finish();
  };

  return {
    read,

    async connect(port: MessagePort): Promise<void> {
      const api: LogsReadApi = { read };
      expose(api, port);
    },

    openStreams(sources: readonly StreamSource[]): Promise<(WireError | null)[]> {
      return listing.share(() => Promise.all(sources.map(openStream)));
    },

    async expectMarker(service: string, stream: StreamName, marker: string | null): Promise<void> {
      const bytes = marker === null ? null : markerBytes(marker);
      const capture = captures.get(streamKey({ service, stream }));
      if (capture) capture.expectMarker(bytes);
      else post({ type: 'marker-seen', service, stream });
    },

    async closeStream(service: string, stream: StreamName): Promise<void> {
      captures.get(streamKey({ service, stream }))?.cut();
    },

    async removeLogs(service: string): Promise<void> {
      const ids = STREAM_NAMES.map((stream): StreamId => ({ service, stream }));
      const open = ids.find((id) => captures.has(streamKey(id)));
      if (open) throw new MonocoreError('Internal', `${streamKey(open)} is still open: its files cannot be removed`);
      const removal = removeServiceFiles(logDir, service).finally(() => {
        removals.delete(service);
        for (const reader of readers) for (const id of ids) reader.forget(id);
      });
      removals.set(service, removal);
      await removal;
    },

    async tellPeer(port: MessagePort): Promise<void> {
      teller.serve(port);
    },

    async followPeer(port: MessagePort): Promise<void> {
      peers.add(port);
    },

    async close(): Promise<void> {
      isClosed = true;
      const open = [...captures.values()];
      const lostBytes = await Promise.all(open.map((capture) => capture.close()));
      teller.flush();
      await peers.drain();
      const reading = [...readers];
      for (const reader of reading) reader.finish();
      let cancel = () => {};
      const timeout = new Promise<void>((resolve) => {
        cancel = clock.after(READERS_TIMEOUT_MS, resolve);
      });
      await Promise.race([Promise.all(reading.map((reader) => reader.done)), timeout]);
      cancel();
      for (const reader of reading) reader.end();
      const losses = open.flatMap(({ id }, index) =>
        lostBytes[index] ? [`${streamKey(id)}: ${lostBytes[index]}`] : [],
      );
      if (losses.length > 0) {
        throw new MonocoreError('Internal', `bytes could not be written to ${logDir}: ${losses.join(', ')}`);
      }
    },
  };
}

const refusePage: StartPage = (_page, port) => {
  port.close();
  return () => {};
};

/** A name becomes a path, so nothing but a name may pass, whoever calls. */
function checkSource({ service, stream }: StreamSource): void {
  if (!isServiceName(service) || !STREAM_NAMES.includes(stream)) {
    throw new MonocoreError('Internal', `${service}.${stream} is no name of a stream`);
  }
}
