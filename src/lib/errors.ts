import { getSystemErrorMap } from 'node:util';

/** Error codes for programs. They cross threads and HTTP unchanged, as {@link WireError}. */
export type ErrorCode =
  /** The config file cannot be read or parsed, or is not valid; `details` has one {@link ConfigProblem} per problem. */
  | 'ConfigInvalid'
  /** A command line or request is not valid. */
  | 'Usage'
  /** The home folder cannot be created or written, or its path is too long for a unix socket. */
  | 'HomeUnusable'
  /** Another daemon is running in this home. */
  | 'DaemonRunning'
  /** No daemon answers on the socket of this home, or a new daemon did not become ready. */
  | 'DaemonUnreachable'
  /** No service of that name is known. */
  | 'ServiceUnknown'
  /** Another project of the home uses the name. */
  | 'NameTaken'
  /** A program or file that VMs need is not installed on the host; the message names the package. */
  | 'ToolMissing'
  /** An image cannot be pulled: its registry does not answer, denies access, or does not have it. */
  | 'ImageUnavailable'
  /** An image does not match its digest, is malformed, is too large, or is for another platform. */
  | 'ImageInvalid'
  /** The image is not in the store. */
  | 'ImageUnknown'
  /** A service uses the image, so it cannot be removed. */
  | 'ImageInUse'
  /** A service cannot be started; `details` has the last lines of its output or of its VM. */
  | 'StartFailed'
  /** A process did not end within its deadline, despite SIGKILL. */
  | 'StopFailed'
  /** A worker thread ended while a call to it was pending. */
  | 'ThreadDied'
  /** Another thread did not answer a call in time. The call may still take effect. */
  | 'CallTimeout'
  /** The operation was cancelled, for example by a stop. */
  | 'Aborted'
  /** Bug in monocore. */
  | 'Internal';

/**
 * Error with a message for people (what failed, on which service or file, and what to try) and a code with details for
 * programs.
 */
export class MonocoreError extends Error {
  override readonly name = 'MonocoreError';
  readonly code: ErrorCode;
  /** Data specific to the code; plain JSON only, because it crosses threads and HTTP. */
  readonly details: unknown;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? null;
  }
}

/**
 * Text of any thrown value, without a stack; for a system error its reason and code: `no space left on device
 * (ENOSPC)`. For messages that name the file or program, see {@link errorTextWithPath}.
 */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [code, reason] = ('errno' in error && getSystemErrorMap().get(Number(error.errno))) || [];
  return reason === undefined ? error.message : `${reason} (${code})`;
}

/**
 * Text of any thrown value. For a system error the path of its file, program or unix socket, if known, comes first:
 * `/srv/data: no space left on device (ENOSPC)`.
 *
 * @param named path that the message already contains; it is left out
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

/** Remedy for an error: `details.hint` of a {@link MonocoreError}; null if there is none. */
export function hintOf(error: unknown): string | null {
  const details = error instanceof MonocoreError ? error.details : null;
  if (typeof details !== 'object' || details === null || !('hint' in details)) return null;
  return typeof details.hint === 'string' ? details.hint : null;
}

/** Text of an error with its remedy, where no other part of the error is shown. */
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

/** Handler of rejections that returns null if a file does not exist. @throws any other error */
export function nullIfMissing(error: unknown): null {
  if (errorCode(error) === 'ENOENT') return null;
  throw error;
}

/** Plain JSON form of a {@link MonocoreError}: structured clone preserves neither `code` nor `cause` of an Error. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: unknown;
  /** Code of the system error that caused it, such as `ENOSPC`. */
  readonly cause_code: string | null;
}

/** Converts any thrown value. Anything but a MonocoreError becomes `Internal` with its text. */
export function toWireError(error: unknown): WireError {
  if (error instanceof MonocoreError) {
    const { code, message, details, cause } = error;
    return { code, message, details, cause_code: errorCode(cause) ?? null };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'Internal', message, details: null, cause_code: errorCode(error) ?? null };
}

/** Reverses {@link toWireError}. The system error's code is restored as `cause.code`. */
export function fromWireError(wire: WireError): MonocoreError {
  const cause =
    wire.cause_code === null ? undefined : Object.assign(new Error(wire.message), { code: wire.cause_code });
  return new MonocoreError(wire.code, wire.message, { details: wire.details, cause });
}
