/**
 * Names in the log folder: `<service>.<stream>.<number>.log` for the files, `<service>.<stream>.<number>.log.gz` for
 * those that were compressed, `<service>.<stream>.log` for the symlink to the current one. Neither services nor streams
 * have a dot in their name, so a name reads in one way only. Pure.
 */
import type { StreamName } from './logs.ts';

/** One stream of one service. */
export interface StreamId {
  readonly service: string;
  readonly stream: StreamName;
}

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

/** Whether `a` is a place before `b`. */
export function isBefore(a: Position, b: Position): boolean {
  return a.number < b.number || (a.number === b.number && a.offset < b.offset);
}

/** What the name of a compressed file has behind that of the file; `*.log` does not match it. */
export const COMPRESSED_SUFFIX = '.gz';
/** What the name of a compressed file that is not whole has behind its own. */
export const UNFINISHED_SUFFIX = '.tmp';

const SERVICE_PATTERN = '[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?';
const SERVICE_NAME = new RegExp(`^${SERVICE_PATTERN}$`);
const FILE_NAME = new RegExp(
  `^(${SERVICE_PATTERN})\\.(stdout|stderr|console)\\.([0-9]{6,15})\\.log(\\.gz(?:\\.tmp)?)?$`,
);

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

/** What a name in the log folder says. */
export interface LogFileName extends StreamId {
  readonly number: number;
  /** `unfinished`: what a compression that was cut off left, or one that runs. */
  readonly form: 'plain' | 'compressed' | 'unfinished';
}

/** What the name of a log file says; null for any other name. */
export function parseFileName(name: string): LogFileName | null {
  const [, service, stream, digits, suffix = ''] = FILE_NAME.exec(name) ?? [];
  if (service === undefined || stream === undefined) return null;
  const id: StreamId = { service, stream: stream as StreamName };
  const number = Number(digits);
  if (number === 0 || fileName(id, number) + suffix !== name) return null;
  return { ...id, number, form: suffix === '' ? 'plain' : suffix === COMPRESSED_SUFFIX ? 'compressed' : 'unfinished' };
}
