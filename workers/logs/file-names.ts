/** Places in the files of a stream, and which files there are. */
import { readdir } from 'node:fs/promises';
import { errorCode } from '../../src/errors.ts';
import { parseFileName, type StreamId, streamKey } from '../../src/protocol/log-files.ts';

export {
  COMPRESSED_SUFFIX,
  fileName,
  isServiceName,
  linkName,
  parseFileName,
  type StreamId,
  streamKey,
  temporaryLinkName,
} from '../../src/protocol/log-files.ts';

/**
 * A place in the files of a stream: `offset` bytes into file `number`, compressed or not. Files only grow and numbers
 * only rise, so a place stays what it is. Number 0 stands before the first file.
 */
export interface Position {
  readonly number: number;
  readonly offset: number;
}

/** Before the first file of any stream. */
export const ORIGIN: Position = Object.freeze({ number: 0, offset: 0 });

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
