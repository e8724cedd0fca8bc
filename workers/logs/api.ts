/** API of the log worker: opens and closes captures, serves readers, removes files. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import type { Clock } from '../../src/lib/clock.ts';
import { MonocoreError, nullIfMissing, toWireError, type WireError } from '../../src/lib/errors.ts';
import { within } from '../../src/lib/promises.ts';
import { isName } from '../../src/protocol/input.ts';
import {
  linkName,
  type Position,
  parseFileName,
  STREAM_NAMES,
  type StreamId,
  type StreamName,
  streamKey,
  temporaryLinkName,
} from '../../src/protocol/log-files/names.ts';
import type { LogQuery } from '../../src/protocol/log-files/queries.ts';
import type { LogEvent, LogsApi, LogsReadApi, StreamSource } from '../../src/protocol/logs.ts';
import { expose } from '../../src/threads/rpc.ts';
import { BusyPipes } from './capture/busy-pipes.ts';
import { Capture } from './capture/capture.ts';
import { Disk } from './capture/disk.ts';
import { markerBytes } from './capture/end-marker.ts';
import { PeerPositions, PositionTeller } from './capture/writer-positions.ts';
import { FrameMemory, INPUT_BYTES } from './format/framer.ts';
import { LogReader } from './read/log-reader.ts';
import type { StartPage } from './read/log-search.ts';

/** Time for readers to receive the last records when {@link LogsApi.close} is called. */
const READERS_TIMEOUT_MS = 1000;
/**
 * Maximum time without a message from a page of a search. A page sends a keep-alive message once a second, unless its
 * pattern is busy with a single record, which may take years.
 */
const PAGE_SILENCE_MS = 10_000;

/** Settings of the worker, and its connections to other threads. */
interface LogsOptions {
  /** Absolute path of the log folder. */
  readonly logDir: string;
  /** Sends a message to the main thread. */
  readonly post: (event: LogEvent) => void;
  readonly clock: Clock;
  /** Registers `run` to be called right before the thread ends, if it can still run code then. */
  readonly atExit?: (run: () => void) => void;
  readonly startPage: StartPage;
  /** 10 s by default. */
  readonly pageSilenceMs?: number | undefined;
}

/** Creates the API that the worker exposes. It runs in the calling thread. */
export function createLogs(options: LogsOptions): LogsApi {
  const { logDir, post, clock, startPage, pageSilenceMs = PAGE_SILENCE_MS } = options;
  const memory = new FrameMemory();
  const disk = new Disk();
  const busyPipes = new BusyPipes(INPUT_BYTES);
  const captures = new Map<string, Capture>();
  const readers = new Set<LogReader>();
  /** Removals in progress, by service. */
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
    if (isClosed) throw new MonocoreError('Internal', `${key} cannot be captured: the log worker is closed`);
    if (captures.has(key)) throw new MonocoreError('Internal', `${key} cannot be captured: it is captured already`);
    const capture: Capture = new Capture({
      source,
      logDir,
      memory,
      busyPipes,
      disk,
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
      return disk.shareListings(() => Promise.all(sources.map(openStream)));
    },

    async expectMarker(service: string, stream: StreamName, marker: string | null): Promise<void> {
      const bytes = marker === null ? null : markerBytes(marker);
      const capture = captures.get(streamKey({ service, stream }));
      if (capture) capture.expectMarker(bytes);
      else post({ type: 'marker-seen', service, stream });
    },

    async closeStream(service: string, stream: StreamName, mayWait: boolean): Promise<void> {
      const capture = captures.get(streamKey({ service, stream }));
      if (mayWait) capture?.cut();
      else await capture?.giveUp();
    },

    async removeLogs(service: string): Promise<void> {
      const ids = STREAM_NAMES.map((stream): StreamId => ({ service, stream }));
      const open = ids.find((id) => captures.has(streamKey(id)));
      if (open)
        throw new MonocoreError(
          'Internal',
          `the logs of ${service} cannot be removed: ${streamKey(open)} is still captured`,
        );
      const removal = removeServiceFiles(logDir, service).finally(() => {
        removals.delete(service);
        for (const reader of readers) reader.forget(service);
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
      await within(Promise.all(reading.map((reader) => reader.done)), READERS_TIMEOUT_MS, { clock });
      for (const reader of reading) reader.end();
      const losses = open.flatMap(({ id }, index) =>
        lostBytes[index] ? [`${streamKey(id)}: ${lostBytes[index]}`] : [],
      );
      if (losses.length > 0) {
        throw new MonocoreError(
          'Internal',
          `bytes were lost because they could not be written to ${logDir}: ${losses.join(', ')}`,
        );
      }
    },
  };
}

/** Validates the names, because they become part of a path. */
function checkSource({ service, stream }: StreamSource): void {
  if (!isName(service) || !STREAM_NAMES.includes(stream)) {
    throw new MonocoreError('Internal', `${service}.${stream} cannot be captured: it is not a valid stream name`);
  }
}

/** Deletes the numbered files and the links of a service, and nothing else. */
async function removeServiceFiles(logDir: string, service: string): Promise<void> {
  const links = STREAM_NAMES.flatMap((stream) => [linkName, temporaryLinkName].map((of) => of({ service, stream })));
  const names = (await readdir(logDir).catch(nullIfMissing)) ?? [];
  const ofService = names.filter((name) => parseFileName(name)?.service === service);
  // Links come first, so that none points to a missing file.
  const all = [...names.filter((name) => links.includes(name)), ...ofService];
  for (const name of all) await rm(join(logDir, name), { force: true });
}
