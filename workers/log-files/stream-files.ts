/** Which files of which streams there are. */
import { readdir } from 'node:fs/promises';
import { errorCode } from '../../src/lib/errors.ts';
import { parseFileName, type StreamId, streamKey } from '../../src/protocol/log-files/names.ts';

/** A stream that has files, and their numbers in rising order, those that were compressed included. */
export interface StreamFiles {
  readonly id: StreamId;
  readonly numbers: readonly number[];
}

/** The files in `logDir` of every stream that `selects` accepts; none when the folder is missing. */
export async function listStreamFiles(logDir: string, selects: (id: StreamId) => boolean): Promise<StreamFiles[]> {
  const byKey = new Map<string, { id: StreamId; numbers: Set<number> }>();
  for (const name of await listNames(logDir)) {
    const parsed = parseFileName(name);
    if (!parsed || parsed.form === 'unfinished' || !selects(parsed)) continue;
    const { number, service, stream } = parsed;
    const key = streamKey(parsed);
    const files = byKey.get(key) ?? { id: { service, stream }, numbers: new Set() };
    byKey.set(key, files);
    files.numbers.add(number);
  }
  return [...byKey.values()].map(({ id, numbers }) => ({ id, numbers: [...numbers].sort((a, b) => a - b) }));
}

async function listNames(logDir: string): Promise<string[]> {
  try {
    return await readdir(logDir);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
