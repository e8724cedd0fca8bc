/**
 * Errors as they cross threads and HTTP. Structured clone keeps neither `code` nor `cause` of an Error, so both sides
 * speak this shape instead.
 */
import { type ErrorCode, errorCode, errorText, MonocoreError } from './errors.ts';

/** A {@link MonocoreError} as plain JSON. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: unknown;
  /** The system's code, `ENOSPC` for example, when the cause was a system error. */
  readonly cause_code: string | null;
}

/** Any thrown value as a {@link WireError}. What is not a MonocoreError becomes `Internal`, its text kept. */
export function toWireError(error: unknown): WireError {
  if (error instanceof MonocoreError) {
    const { code, message, details, cause } = error;
    return { code, message, details, cause_code: errorCode(cause) ?? null };
  }
  return { code: 'Internal', message: errorText(error), details: null, cause_code: errorCode(error) ?? null };
}

/** The receiving side of {@link toWireError}. The system's code comes back as `cause.code`. */
export function fromWireError(wire: WireError): MonocoreError {
  const cause =
    wire.cause_code === null ? undefined : Object.assign(new Error(wire.message), { code: wire.cause_code });
  return new MonocoreError(wire.code, wire.message, { details: wire.details, cause });
}
