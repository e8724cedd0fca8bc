/** Choice of the log files to remove. */
import type { LogRetention } from '../../../src/protocol/jobs.ts';
import { type StreamId, streamKey } from '../../../src/protocol/log-files/names.ts';

/** Log file, in all forms in which it exists. */
export interface LogFile {
  readonly id: StreamId;
  readonly number: number;
  readonly names: readonly string[];
  readonly sizeBytes: number;
  /** Time of the last write, milliseconds since the epoch. */
  readonly modifiedAtMs: number;
}

interface RetentionOptions {
  readonly retentionOf: (service: string) => LogRetention;
  /** For all services together; null for no limit. */
  readonly homeKeepTotalBytes: number | null;
  /** Tells if the newest files of a service are being written. */
  readonly isWritten: (service: string) => boolean;
  readonly nowMs: number;
}

/** Remaining files of a stream, by number, and their total size. */
interface Stream {
  readonly service: string;
  readonly finished: LogFile[];
  readonly newest: LogFile;
  bytes: number;
}

/**
 * Selects the files to remove. The files of a stream are ordered by number, those of different streams by time, because
 * the clock may have been stepped. The newest file of a stream is its current one: it counts, and is kept unless its
 * service has ended and it is too old.
 */
export function selectExpired(files: readonly LogFile[], options: RetentionOptions): LogFile[] {
  const streams = groupByStream(files);
  const expired = streams.flatMap((stream) => [...takeExpired(stream, options)]);
  const byService = groupBy(streams, ({ service }) => service);
  for (const [service, own] of byService) {
    expired.push(...takeAbove(own, options.retentionOf(service).keep_total_bytes));
  }
  expired.push(...takeAbove(streams, options.homeKeepTotalBytes));
  return expired;
}

function groupByStream(files: readonly LogFile[]): Stream[] {
  const byKey = groupBy(files, ({ id }) => streamKey(id));
  return [...byKey.values()].map((own) => {
    const ordered = own.toSorted((a, b) => a.number - b.number);
    const bytes = own.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    return { service: own[0]!.id.service, finished: ordered.slice(0, -1), newest: ordered.at(-1)!, bytes };
  });
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

function* takeExpired(stream: Stream, { retentionOf, isWritten, nowMs }: RetentionOptions): Generator<LogFile> {
  const { keep_files: keepFiles, keep_for_ms: keepForMs } = retentionOf(stream.service);
  const isTooOld = ({ modifiedAtMs }: LogFile): boolean => keepForMs !== null && nowMs - modifiedAtMs > keepForMs;
  for (let oldest = stream.finished[0]; oldest; oldest = stream.finished[0]) {
    const isTooMany = keepFiles !== null && stream.finished.length > keepFiles;
    if (!isTooMany && !isTooOld(oldest)) return;
    yield takeOldest(stream);
  }
  if (isWritten(stream.service) || !isTooOld(stream.newest)) return;
  stream.bytes = 0;
  yield stream.newest;
}

/** Takes the oldest files until the rest of `streams` fits into `limitBytes`. */
function* takeAbove(streams: readonly Stream[], limitBytes: number | null): Generator<LogFile> {
  if (limitBytes === null) return;
  while (streams.reduce((sum, { bytes }) => sum + bytes, 0) > limitBytes) {
    const [stream] = streams
      .filter(({ finished }) => finished.length > 0)
      .sort((a, b) => a.finished[0]!.modifiedAtMs - b.finished[0]!.modifiedAtMs);
    if (!stream) return;
    yield takeOldest(stream);
  }
}

function takeOldest(stream: Stream): LogFile {
  const file = stream.finished.shift()!;
  stream.bytes -= file.sizeBytes;
  return file;
}
