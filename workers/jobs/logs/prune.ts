/** Removal of log files by their retention, and the search for files to compress. */
import type { Stats } from 'node:fs';
import { readdir, readlink, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../../src/lib/errors.ts';
import type { LogRetention, PrunedLogs, PruneLogsJob } from '../../../src/protocol/jobs.ts';
import {
  type LogFileName,
  linkName,
  parseFileName,
  type StreamId,
  streamKey,
} from '../../../src/protocol/log-files/names.ts';
import { type LogFile, selectExpired } from './retention.ts';

/** File in the log folder. */
interface Entry {
  readonly name: string;
  readonly parsed: LogFileName;
  readonly stats: Stats;
}

/** Removes expired files. Files that are already gone are ignored. Throws the system's error. */
export async function pruneLogs({
  logDir,
  retentions,
  otherRetention,
  home,
  written,
  nowMs,
}: PruneLogsJob): Promise<PrunedLogs> {
  const retentionOf = (service: string): LogRetention => retentions[service] ?? otherRetention;
  const entries = await listEntries(logDir);
  const finished = entries.filter(({ parsed }) => parsed.form !== 'unfinished');
  const isWritten = (service: string): boolean => written.includes(service);
  const options = { retentionOf, homeKeepTotalBytes: home.keep_total_bytes, isWritten, nowMs };
  const expired = selectExpired(groupByNumber(finished), options);
  const doomed = new Set([...expired.flatMap(({ names }) => names), ...findAbandoned(entries)]);
  for (const { name, stats } of entries) if (doomed.has(name)) await removeSame(join(logDir, name), stats);
  for (const { id, names } of expired) await removeLinkTo(logDir, id, names);
  return { removed: [...doomed], compressible: findCompressible(finished, doomed, retentionOf) };
}

async function listEntries(logDir: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const name of await readdir(logDir).catch(noneIfGone<string[]>([]))) {
    const parsed = parseFileName(name);
    const stats = parsed && (await stat(join(logDir, name)).catch(noneIfGone(null)));
    if (stats) entries.push({ name, parsed, stats });
  }
  return entries;
}

function noneIfGone<T>(none: T): (error: unknown) => T {
  return (error) => {
    if (errorCode(error) === 'ENOENT') return none;
    throw error;
  };
}

/** An interrupted compression leaves a file in two forms for a while. */
function groupByNumber(entries: readonly Entry[]): LogFile[] {
  const byNumber = new Map<string, LogFile>();
  for (const { name, parsed, stats } of entries) {
    const key = `${streamKey(parsed)} ${parsed.number}`;
    const other = byNumber.get(key);
    byNumber.set(key, {
      id: parsed,
      number: parsed.number,
      names: [...(other?.names ?? []), name],
      sizeBytes: (other?.sizeBytes ?? 0) + stats.size,
      modifiedAtMs: Math.max(other?.modifiedAtMs ?? 0, stats.mtimeMs),
    });
  }
  return [...byNumber.values()];
}

/** Leftovers of interrupted compressions whose file has been removed since. */
function findAbandoned(entries: readonly Entry[]): string[] {
  const names = new Set(entries.map(({ name }) => name));
  return [...names].filter((name) => name.endsWith('.gz.tmp') && !names.has(name.slice(0, -'.gz.tmp'.length)));
}

function findCompressible(
  entries: readonly Entry[],
  doomed: ReadonlySet<string>,
  retentionOf: (service: string) => LogRetention,
): PrunedLogs['compressible'] {
  const newest = new Map<string, number>();
  for (const { parsed } of entries) {
    newest.set(streamKey(parsed), Math.max(newest.get(streamKey(parsed)) ?? 0, parsed.number));
  }
  return entries
    .filter(({ name, parsed }) => parsed.form === 'plain' && !doomed.has(name))
    .filter(({ parsed }) => parsed.number < newest.get(streamKey(parsed))!)
    .filter(({ parsed }) => retentionOf(parsed.service).compress === 'gzip')
    .map(({ name, parsed, stats }) => ({ name, service: parsed.service, modifiedAtMs: stats.mtimeMs }));
}

/** Removes the listed file, but not one that replaced it since. */
async function removeSame(path: string, listed: Stats): Promise<void> {
  const found = await stat(path).catch(noneIfGone(null));
  if (found?.ino === listed.ino && found.mtimeMs === listed.mtimeMs) await rm(path, { force: true });
}

/** Removes the link to a stream's newest file if that was removed. */
async function removeLinkTo(logDir: string, id: StreamId, names: readonly string[]): Promise<void> {
  const link = join(logDir, linkName(id));
  const target = await readlink(link).catch(() => null);
  if (target !== null && names.includes(target)) await rm(link, { force: true });
}
