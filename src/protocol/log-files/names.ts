/**
 * Names in the log folder: `<service>.<stream>.<number>.log` for files, with `.gz` appended for compressed ones, and
 * `<service>.<stream>.log` for the symlink to the current file. Names of services and streams contain no dots, so every
 * name is unambiguous.
 */

import { NAME_PATTERN } from '../input.ts';

/** `console`: output of the VM process and of the guest's kernel, kept separate from the service's own streams. */
export type StreamName = 'stdout' | 'stderr' | 'console';
export const STREAM_NAMES: readonly StreamName[] = ['stdout', 'stderr', 'console'];

export interface StreamId {
  readonly service: string;
  readonly stream: StreamName;
}

/**
 * Position in the files of a stream: `offset` bytes into file `number`, compressed or not. Files only grow and numbers
 * only increase, so a position stays valid. Number 0 is before the first file.
 */
export interface Position {
  readonly number: number;
  readonly offset: number;
}

export const ORIGIN: Position = Object.freeze({ number: 0, offset: 0 });

export function isBefore(a: Position, b: Position): boolean {
  return a.number < b.number || (a.number === b.number && a.offset < b.offset);
}

/** Suffix of a compressed file; the glob `*.log` does not match it. */
export const COMPRESSED_SUFFIX = '.gz';
/** Suffix of a compressed file that is not complete yet. */
export const UNFINISHED_SUFFIX = '.tmp';

const FILE_NAME = new RegExp(`^(${NAME_PATTERN})\\.(stdout|stderr|console)\\.([0-9]{6,15})\\.log(\\.gz(?:\\.tmp)?)?$`);

export function streamKey({ service, stream }: StreamId): string {
  return `${service}.${stream}`;
}

/** Name of file `number`, with at least six digits. */
export function fileName(id: StreamId, number: number): string {
  return `${streamKey(id)}.${String(number).padStart(6, '0')}.log`;
}

export function linkName(id: StreamId): string {
  return `${streamKey(id)}.log`;
}

/** Temporary name of a new symlink, which is then renamed over the old one; the glob `*.log` does not match it. */
export function temporaryLinkName(id: StreamId): string {
  return `.${streamKey(id)}.link`;
}

export interface LogFileName extends StreamId {
  readonly number: number;
  /** `unfinished`: a compression is running or was interrupted. */
  readonly form: 'plain' | 'compressed' | 'unfinished';
}

/** Parses the name of a log file; null for any other name. */
export function parseFileName(name: string): LogFileName | null {
  const [, service, stream, digits, suffix = ''] = FILE_NAME.exec(name) ?? [];
  if (service === undefined || stream === undefined) return null;
  const id: StreamId = { service, stream: stream as StreamName };
  const number = Number(digits);
  if (number === 0 || fileName(id, number) + suffix !== name) return null;
  return { ...id, number, form: suffix === '' ? 'plain' : suffix === COMPRESSED_SUFFIX ? 'compressed' : 'unfinished' };
}
