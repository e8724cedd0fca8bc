/** Removes log files according to their retention, and finds files to compress. */
import { readdir, readlink, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { nullIfMissing } from '../../../src/lib/errors.ts';
import { KIB } from '../../../src/lib/units.ts';
import type { LogRetention, PrunedLogs, PruneLogsJob } from '../../../src/protocol/jobs.ts';
import {
  COMPRESSED_SUFFIX,
  type LogFileName,
  linkName,
  parseFileName,
  streamKey,
  UNFINISHED_SUFFIX,
} from '../../../src/protocol/log-files/names.ts';

/** Suffix of the leftover of an interrupted compression. */
const UNFINISHED = COMPRESSED_SUFFIX + UNFINISHED_SUFFIX;

/**
 * Maximum number of files of a service with a limit on their size. Compressed, 10 MiB of one repeated line take a few
 * KiB, so the limit on the size alone would let a service make so many files that each pass over them is slow.
 */
export const MAX_FILES = 10_000;

/** Block of most file systems: a file takes whole ones, however short it is. */
const BLOCK_BYTES = 4 * KIB;

/** File in the log folder. There may be many, so that each has only what is needed of its status. */
interface Entry {
  readonly name: string;
  readonly parsed: LogFileName;
  readonly inode: number;
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
}

/** Log file in all forms in which it exists: an interrupted compression temporarily leaves two. */
interface LogFile {
  readonly id: LogFileName;
  readonly names: readonly string[];
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
}

/** Remaining files of a stream, by number, and their total size. */
interface Stream {
  readonly service: string;
  readonly finished: LogFile[];
  readonly newest: LogFile;
  bytes: number;
}

/** Removes expired files. Ignores files that are already gone. Throws the system error. */
export async function pruneLogs(job: PruneLogsJob): Promise<PrunedLogs> {
  const { logDir } = job;
  const entries = await listEntries(logDir);
  const whole = entries.filter(({ parsed }) => parsed.form !== 'unfinished');
  const streams = groupBy(whole, ({ parsed }) => streamKey(parsed)).map(toStream);
  const expired = takeExpired(streams, job);
  const doomed = new Set([...expired.flatMap(({ names }) => names), ...findAbandoned(entries)]);
  for (const entry of entries) if (doomed.has(entry.name)) await removeSame(logDir, entry);
  for (const file of expired) await removeLinkTo(logDir, file);
  return { removed: [...doomed], compressible: findCompressible(streams, job) };
}

async function listEntries(logDir: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const name of (await readdir(logDir).catch(nullIfMissing)) ?? []) {
    const parsed = parseFileName(name);
    const stats = parsed && (await stat(join(logDir, name)).catch(nullIfMissing));
    if (!stats) continue;
    const sizeBytes = Math.ceil(stats.size / BLOCK_BYTES) * BLOCK_BYTES;
    entries.push({ name, parsed, inode: stats.ino, sizeBytes, modifiedAtMs: stats.mtimeMs });
  }
  return entries;
}

function retentionOf({ retentions, otherRetention }: PruneLogsJob, service: string): LogRetention {
  return retentions[service] ?? otherRetention;
}

/**
 * Removes expired files from their streams and returns them. Files of one stream are ordered by number, those of
 * different streams by time, because the clock may have jumped. The newest file of a stream is its current one: its
 * size counts, but it is kept unless its service has ended and it is too old.
 */
function takeExpired(streams: readonly Stream[], job: PruneLogsJob): LogFile[] {
  const expired = streams.flatMap((stream) => [...takeExpiredOf(stream, job)]);
  for (const own of groupBy(streams, ({ service }) => service)) {
    const limitBytes = retentionOf(job, own[0]!.service).keep_total_bytes;
    if (limitBytes !== null) expired.push(...takeAbove(own, limitBytes, MAX_FILES));
  }
  if (job.home.keep_total_bytes !== null) expired.push(...takeAbove(streams, job.home.keep_total_bytes));
  return expired;
}

function toStream(entries: readonly Entry[]): Stream {
  const finished = groupBy(entries, ({ parsed }) => String(parsed.number))
    .map(toFile)
    .sort((a, b) => a.id.number - b.id.number);
  const bytes = finished.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const newest = finished.pop()!;
  return { service: newest.id.service, finished, newest, bytes };
}

function toFile(forms: readonly Entry[]): LogFile {
  return {
    id: forms[0]!.parsed,
    names: forms.map(({ name }) => name),
    sizeBytes: forms.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    modifiedAtMs: Math.max(...forms.map(({ modifiedAtMs }) => modifiedAtMs)),
  };
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return [...groups.values()];
}

function* takeExpiredOf(stream: Stream, job: PruneLogsJob): Generator<LogFile> {
  const { keep_files: keepFiles, keep_for_ms: keepForMs } = retentionOf(job, stream.service);
  const isTooOld = ({ modifiedAtMs }: LogFile): boolean => keepForMs !== null && job.nowMs - modifiedAtMs > keepForMs;
  for (let oldest = stream.finished[0]; oldest; oldest = stream.finished[0]) {
    const isTooMany = keepFiles !== null && stream.finished.length > keepFiles;
    if (!isTooMany && !isTooOld(oldest)) return;
    yield takeOldest(stream);
  }
  if (job.written.includes(stream.service) || !isTooOld(stream.newest)) return;
  stream.bytes = 0;
  yield stream.newest;
}

/** Yields the oldest files until the rest of `streams` fits into both limits. */
function* takeAbove(streams: readonly Stream[], limitBytes: number, limitFiles = Infinity): Generator<LogFile> {
  const sum = (of: (stream: Stream) => number): number => streams.reduce((all, stream) => all + of(stream), 0);
  while (sum(({ bytes }) => bytes) > limitBytes || sum(({ finished }) => finished.length + 1) > limitFiles) {
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

/** Leftovers of interrupted compressions whose log file has since been removed. */
function findAbandoned(entries: readonly Entry[]): string[] {
  const names = new Set(entries.map(({ name }) => name));
  return [...names].filter((name) => name.endsWith(UNFINISHED) && !names.has(name.slice(0, -UNFINISHED.length)));
}

/** Remaining plain files, except the newest of each stream. */
function findCompressible(streams: readonly Stream[], job: PruneLogsJob): PrunedLogs['compressible'] {
  const wanting = streams.filter(({ service }) => retentionOf(job, service).compress === 'gzip');
  return wanting.flatMap(({ service, finished }) =>
    finished.flatMap(({ names, modifiedAtMs }) =>
      names.filter((name) => !name.endsWith(COMPRESSED_SUFFIX)).map((name) => ({ name, service, modifiedAtMs })),
    ),
  );
}

/** Removes the listed file, but not a new one that has replaced it. */
async function removeSame(logDir: string, { name, inode, modifiedAtMs }: Entry): Promise<void> {
  const path = join(logDir, name);
  const found = await stat(path).catch(nullIfMissing);
  if (found?.ino === inode && found.mtimeMs === modifiedAtMs) await rm(path, { force: true });
}

/** Removes the link to a stream's newest file if that file was removed. */
async function removeLinkTo(logDir: string, { id, names }: LogFile): Promise<void> {
  const link = join(logDir, linkName(id));
  const target = await readlink(link).catch(() => null);
  if (target !== null && names.includes(target)) await rm(link, { force: true });
}
