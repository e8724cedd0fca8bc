/** Which part of which files a query is about. */
import { ORIGIN, type Position, STREAM_NAMES, type StreamId } from '../../../src/protocol/log-files/names.ts';
import type { LogQuery } from '../../../src/protocol/log-files/queries.ts';
import { BackwardScan } from '../../log-files/backward-scan.ts';
import { openLogFile } from '../../log-files/log-file.ts';
import { BLOCK_BYTES } from '../../log-files/stream-cursor.ts';
import { listStreamFiles, type StreamFiles } from '../../log-files/stream-files.ts';
import { searchTail } from '../../log-files/tail-search.ts';

/** Records of one stream, both ends at the edge of a record. */
export interface ReadRange {
  readonly id: StreamId;
  readonly start: Position;
  readonly end: Position;
}

/** End of the last whole record of a stream that is being written; null for any other stream. */
export type SettledEnd = (id: StreamId) => Position | null;

/** Whether `query` asks for the stream; an empty list of services asks for all. */
export function selectsStream(query: LogQuery, { service, stream }: StreamId): boolean {
  return query.streams.includes(stream) && (query.services.length === 0 || query.services.includes(service));
}

/**
 * The records that are in the files now, of each stream that `query` selects and that has files; its tail and its
 * filter aside. In the order of services, and stdout, stderr, console in each.
 */
export async function findAll(logDir: string, query: LogQuery, settledEnd: SettledEnd): Promise<ReadRange[]> {
  const streams = await listStreamFiles(logDir, (id) => selectsStream(query, id));
  streams.sort((a, b) => compareStreams(a.id, b.id));
  const ranges: ReadRange[] = [];
  for (const files of streams) {
    const { id } = files;
    const end = settledEnd(id) ?? (await findEnd(logDir, files, query.follow));
    // It may have been opened meanwhile, and then only its writer knows where a record ends.
    ranges.push({ id, start: ORIGIN, end: settledEnd(id) ?? end });
  }
  return ranges;
}

/** As {@link findAll}; only the last `query.tail` records over all streams together. */
export async function findRanges(logDir: string, query: LogQuery, settledEnd: SettledEnd): Promise<ReadRange[]> {
  const all = await findAll(logDir, query, settledEnd);
  if (query.tail === null) return all;
  const streams = all.map(({ id, end }) => ({ id, end, start: end, startTime: '', at: end, next: null }));
  const { state } = await searchTail({ missing: query.tail, streams }, { logDir });
  return state.streams.map(({ id, start, end }) => ({ id, start, end }));
}

function compareStreams(a: StreamId, b: StreamId): number {
  if (a.service !== b.service) return a.service < b.service ? -1 : 1;
  return STREAM_NAMES.indexOf(a.stream) - STREAM_NAMES.indexOf(b.stream);
}

/**
 * End of a stream that nobody writes. A record that a crash cut off counts, except for a follower: it is ended when
 * the stream is opened again, and a follower delivers it then.
 */
async function findEnd(logDir: string, files: StreamFiles, follow: boolean): Promise<Position> {
  const number = files.numbers.at(-1)!;
  const end = { number, offset: await sizeOf(logDir, files.id, number) };
  if (!follow || end.offset === 0) return end;
  const scan = new BackwardScan({ logDir, files, end, memory: Buffer.allocUnsafeSlow(BLOCK_BYTES) });
  try {
    if (await scan.endsInNewline()) return end;
    const last = await scan.previous();
    return last === null || last === 'later' ? end : last.start;
  } finally {
    await scan.close();
  }
}

async function sizeOf(logDir: string, id: StreamId, number: number): Promise<number> {
  const file = await openLogFile(logDir, id, number);
  const size = (await file?.sizeBytes()) ?? 0;
  await file?.close();
  return size;
}
