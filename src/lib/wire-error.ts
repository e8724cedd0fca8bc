/** Errors as they cross threads and HTTP: structured clone keeps neither `code` nor `cause` of an Error. */
import { type ErrorCode, errorCode, errorText, MonocoreError } from './errors.ts';

/** A {@link MonocoreError} as plain JSON. */
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
  return { code: 'Internal', message: errorText(error), details: null, cause_code: errorCode(error) ?? null };
}

/** Reverses {@link toWireError}. The system's code comes back as `cause.code`. */
export function fromWireError(wire: WireError): MonocoreError {
  const cause =
    wire.cause_code === null ? undefined : Object.assign(new Error(wire.message), { code: wire.cause_code });
  return new MonocoreError(wire.code, wire.message, { details: wire.details, cause });
}
