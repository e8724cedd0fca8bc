/**
 * Names in the log folder: `<service>.<stream>.<number>.log` for the files, `<service>.<stream>.log` for the symlink
 * to the current one. Neither services nor streams have a dot in their name, so a name reads in one way only.
 */
import { readdir } from 'node:fs/promises';
import { errorCode } from '../../src/errors.ts';
import type { StreamName } from '../../src/protocol/logs.ts';

/** One stream of one service. */
export interface StreamId {
  readonly service: string;
  readonly stream: StreamName;
}

/**
 * A place in the files of a stream: `offset` bytes into file `number`. Files only grow and numbers only rise, so a
 * place stays what it is. Number 0 stands before the first file.
 */
export interface Position {
  readonly number: number;
  readonly offset: number;
}

/** Before the first file of any stream. */
export const ORIGIN: Position = Object.freeze({ number: 0, offset: 0 });

const SERVICE_PATTERN = '[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?';
const SERVICE_NAME = new RegExp(`^${SERVICE_PATTERN}$`);
const FILE_NAME = new RegExp(`^(${SERVICE_PATTERN})\\.(stdout|stderr|console)\\.([0-9]{6,15})\\.log$`);

/** Whether `name` is one that the config accepts, and so no path out of the log folder. */
export function isServiceName(name: string): boolean {
  return SERVICE_NAME.test(name);
}

/** Text that names a stream and nothing else. */
export function streamKey({ service, stream }: StreamId): string {
  return `${service}.${stream}`;
}

/** Name of file `number`: six digits, more where the number has more. */
export function fileName(id: StreamId, number: number): string {
  return `${streamKey(id)}.${String(number).padStart(6, '0')}.log`;
}

/** Name of the symlink to the current file. */
export function linkName(id: StreamId): string {
  return `${streamKey(id)}.log`;
}

/** Name under which a new symlink is made before it takes the place of the old one; `*.log` does not match it. */
export function temporaryLinkName(id: StreamId): string {
  return `.${streamKey(id)}.link`;
}

/** Stream and number of a log file's name; null for any other name. */
export function parseFileName(name: string): (StreamId & { readonly number: number }) | null {
  const [, service, stream, digits] = FILE_NAME.exec(name) ?? [];
  if (service === undefined || stream === undefined) return null;
  const id: StreamId = { service, stream: stream as StreamName };
  const number = Number(digits);
  return number > 0 && fileName(id, number) === name ? { ...id, number } : null;
}

/** A stream that has files, and their numbers in rising order. */
export interface StreamFiles {
  readonly id: StreamId;
  readonly numbers: readonly number[];
}

/** The files in `logDir` of every stream that `selects` accepts; none when the folder is missing. */
export async function listStreamFiles(logDir: string, selects: (id: StreamId) => boolean): Promise<StreamFiles[]> {
  const byKey = new Map<string, { id: StreamId; numbers: number[] }>();
  for (const name of await listNames(logDir)) {
    const parsed = parseFileName(name);
    if (!parsed || !selects(parsed)) continue;
    const { number, ...id } = parsed;
    const files = byKey.get(streamKey(id));
    if (files) files.numbers.push(number);
    else byKey.set(streamKey(id), { id, numbers: [number] });
  }
  for (const { numbers } of byKey.values()) numbers.sort((a, b) => a - b);
  return [...byKey.values()];
}

async function listNames(logDir: string): Promise<string[]> {
  try {
    return await readdir(logDir);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
