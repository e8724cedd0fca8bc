import { getSystemErrorMap } from 'node:util';

/** Codes that callers may switch on. They cross threads and HTTP unchanged, as {@link WireError}. */
export type ErrorCode =
  /** The config file cannot be read, parsed or does not fit; `details` has one {@link ConfigProblem} per fault. */
  | 'ConfigInvalid'
  /** A command line or request that makes no sense. */
  | 'Usage'
  /** The home folder cannot be created or written, or its path is too long for a unix socket. */
  | 'HomeUnusable'
  /** Another daemon holds this home. */
  | 'DaemonRunning'
  /** No daemon answers on this home's socket, or a starting one did not become ready. */
  | 'DaemonUnreachable'
  /** No service of that name is known. */
  | 'ServiceUnknown'
  /** A name belongs to another project of the home. */
  | 'NameTaken'
  /** A program or file of the host that a VM needs is not installed; the message names the package. */
  | 'ToolMissing'
  /** An image cannot be pulled: its registry does not answer, refuses, or does not have it. */
  | 'ImageUnavailable'
  /** An image does not match its digest, is malformed, too large, or for another platform. */
  | 'ImageInvalid'
  /** No image of that name is in the store. */
  | 'ImageUnknown'
  /** An image is used by a service and cannot be removed. */
  | 'ImageInUse'
  /** A service could not be started; `details` has its last lines, or those of its VM. */
  | 'StartFailed'
  /** A process did not end by any means within its deadline. */
  | 'StopFailed'
  /** A worker thread ended while a call to it was pending. */
  | 'ThreadDied'
  /** A call to another thread did not answer within its deadline. The call may still take effect. */
  | 'CallTimeout'
  /** The operation was cancelled, by a stop for example. */
  | 'Aborted'
  /** A fault of monocore itself. */
  | 'Internal';

/** An error for people (message: what failed, on which service or file, and what to try) and programs (code, details). */
export class MonocoreError extends Error {
  override readonly name = 'MonocoreError';
  readonly code: ErrorCode;
  /** Data that belongs to the code; plain JSON only, because it crosses threads and HTTP. */
  readonly details: unknown;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? null;
  }
}

/**
 * Text of any thrown value, without a stack; of a system error its reason and code: `no space left on device (ENOSPC)`.
 * For messages that name the file or program, see {@link errorTextWithPath}.
 */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [code, reason] = ('errno' in error && getSystemErrorMap().get(Number(error.errno))) || [];
  return reason === undefined ? error.message : `${reason} (${code})`;
}

/**
 * Text of any thrown value, of a system error with the path of its file, program or unix socket in front, where it has one:
 * `/srv/data: no space left on device (ENOSPC)`.
 *
 * @param named path that the message names already; it is left out
 */
export function errorTextWithPath(error: unknown, named?: string): string {
  const text = errorText(error);
  if (!(error instanceof Error) || text === error.message) return text;
  const { path, address } = error as { path?: unknown; address?: unknown };
  const found = typeof path === 'string' ? path : address;
  // The address of a connection to another host is not a path.
  const isPath = typeof found === 'string' && found !== '' && (found === path || found.startsWith('/'));
  return isPath && found !== named ? `${found}: ${text}` : text;
}

/** Remedy of an error: `details.hint` of a {@link MonocoreError}; null where it has none. */
export function hintOf(error: unknown): string | null {
  const details = error instanceof MonocoreError ? error.details : null;
  if (typeof details !== 'object' || details === null || !('hint' in details)) return null;
  return typeof details.hint === 'string' ? details.hint : null;
}

/** Text of an error with its remedy, for places that show nothing else of it. */
export function errorTextWithHint(error: unknown): string {
  const hint = hintOf(error);
  const text = errorTextWithPath(error);
  return hint === null ? text : `${text}; ${hint}`;
}

/** `code` of a system error (`ENOENT`) or of a {@link MonocoreError}; undefined for anything else. */
export function errorCode(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** Null for the error of a file that does not exist, as a handler of rejections. @throws any other error */
export function nullIfMissing(error: unknown): null {
  if (errorCode(error) === 'ENOENT') return null;
  throw error;
}

/** A {@link MonocoreError} as plain JSON: structured clone keeps neither `code` nor `cause` of an Error. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: unknown;
  /** Code of the system error that was the cause, like `ENOSPC`. */
  readonly cause_code: string | null;
}

/** Converts any thrown value. One that is not a MonocoreError becomes `Internal` with its text. */
export function toWireError(error: unknown): WireError {
  if (error instanceof MonocoreError) {
    const { code, message, details, cause } = error;
    return { code, message, details, cause_code: errorCode(cause) ?? null };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'Internal', message, details: null, cause_code: errorCode(error) ?? null };
}

/** Reverses {@link toWireError}. The system's code comes back as `cause.code`. */
export function fromWireError(wire: WireError): MonocoreError {
  const cause =
    wire.cause_code === null ? undefined : Object.assign(new Error(wire.message), { code: wire.cause_code });
  return new MonocoreError(wire.code, wire.message, { details: wire.details, cause });
}
