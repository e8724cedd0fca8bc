/** Which part of which files a query is about. */
import { type LogQuery, STREAM_NAMES } from '../../src/protocol/logs.ts';
import { BackwardScan } from './backward-scan.ts';
import { listStreamFiles, ORIGIN, type Position, type StreamFiles, type StreamId } from './file-names.ts';
import { openLogFile } from './log-file.ts';
import { insertRanked, type Ranked } from './record-time.ts';

/** Records of one stream, both ends at the edge of a record. */
export interface ReadRange {
  readonly id: StreamId;
  readonly start: Position;
  readonly end: Position;
}

/** Whether `query` asks for the stream; an empty list of services asks for all. */
export function selectsStream(query: LogQuery, { service, stream }: StreamId): boolean {
  return query.streams.includes(stream) && (query.services.length === 0 || query.services.includes(service));
}

/**
 * The records that are in the files now, of each stream that `query` selects and that has files: the last `tail` of
 * them over all streams together. In the order of services, and stdout, stderr, console in each.
 *
 * @param settledEnd end of the last whole record of a stream that is being written; null for any other stream
 */
export async function findRanges(
  logDir: string,
  query: LogQuery,
  settledEnd: (id: StreamId) => Position | null,
): Promise<ReadRange[]> {
  const streams = await listStreamFiles(logDir, (id) => selectsStream(query, id));
  streams.sort((a, b) => compareStreams(a.id, b.id));
  const ends: Position[] = [];
  for (const files of streams) {
    const end = settledEnd(files.id) ?? (await findEnd(logDir, files, query.follow));
    // It may have been opened meanwhile, and then only its writer knows where a record ends.
    ends.push(settledEnd(files.id) ?? end);
  }
  const starts = await findStarts(logDir, streams.map(upTo(ends)), ends, query.tail);
  return streams.map(({ id }, index) => ({ id, start: starts[index]!, end: ends[index]! }));
}

/** The files up to the end: what was rolled since the folder was listed included. */
const upTo =
  (ends: readonly Position[]) =>
  ({ id, numbers }: StreamFiles, index: number): StreamFiles => {
    const all = [...numbers];
    for (let number = numbers.at(-1)! + 1; number <= ends[index]!.number; number += 1) all.push(number);
    return { id, numbers: all };
  };

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
  const scan = new BackwardScan(logDir, files, end);
  try {
    return (await scan.endsInNewline()) ? end : ((await scan.previous())?.start ?? end);
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

/** Goes back over all streams at once, always to the newest record that was not counted yet. */
async function findStarts(
  logDir: string,
  streams: readonly StreamFiles[],
  ends: readonly Position[],
  tail: number | null,
): Promise<Position[]> {
  if (tail === null) return streams.map(() => ORIGIN);
  const starts = [...ends];
  const scans = streams.map((files, index) => new BackwardScan(logDir, files, ends[index]!));
  const newest: (Ranked & { readonly start: Position })[] = [];
  const advance = async (rank: number): Promise<void> => {
    const found = await scans[rank]!.previous();
    if (found) insertRanked(newest, { ...found, rank });
  };
  try {
    if (tail > 0) for (const rank of streams.keys()) await advance(rank);
    for (let count = 0; count < tail; count += 1) {
      const record = newest.pop();
      if (!record) break;
      starts[record.rank] = record.start;
      await advance(record.rank);
    }
  } finally {
    await Promise.all(scans.map((scan) => scan.close()));
  }
  return starts;
}
