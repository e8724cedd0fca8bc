/** HTTP form of errors. */
import type { ErrorCode } from '../../src/lib/errors.ts';
import { toWireError } from '../../src/lib/wire-error.ts';
import type { ErrorReply } from '../../src/protocol/http.ts';

const STATUS_OF_CODE: Readonly<Record<ErrorCode, number>> = {
  ConfigInvalid: 400,
  Usage: 400,
  ServiceUnknown: 404,
  ImageUnknown: 404,
  DaemonRunning: 409,
  Aborted: 409,
  ImageInUse: 409,
  HomeUnusable: 500,
  ToolMissing: 500,
  StartFailed: 500,
  StopFailed: 500,
  Internal: 500,
  ImageInvalid: 502,
  ImageUnavailable: 502,
  DaemonUnreachable: 503,
  ThreadDied: 503,
  CallTimeout: 504,
};

/**
 * Answers a request that threw `error`.
 *
 * @param status replaces the status of the error's code
 */
export function errorResponse(error: unknown, status?: number): Response {
  const wire = toWireError(error);
  return Response.json({ error: wire } satisfies ErrorReply, { status: status ?? STATUS_OF_CODE[wire.code] });
}
