/** Exit codes of the command. */
import { type ErrorCode, MonocoreError } from '../lib/errors.ts';

/** `interrupted` is 128 + SIGINT, as in shells. */
export const EXIT = { done: 0, failed: 1, usage: 2, unreachable: 3, interrupted: 130 } as const;

export const EXIT_CODES: readonly (readonly [code: number, meaning: string])[] = [
  [EXIT.done, 'done'],
  [EXIT.failed, 'something failed: a service did not start, the host failed a check'],
  [EXIT.usage, 'wrong usage or config'],
  [EXIT.unreachable, 'the daemon cannot be reached or started'],
  [EXIT.interrupted, 'interrupted'],
];

/** Exit codes of errors; {@link EXIT.failed} for all others. */
const BY_ERROR: Partial<Record<ErrorCode, number>> = {
  ConfigInvalid: EXIT.usage,
  Usage: EXIT.usage,
  ServiceUnknown: EXIT.usage,
  ImageUnknown: EXIT.usage,
  NameTaken: EXIT.usage,
  HomeUnusable: EXIT.unreachable,
  DaemonRunning: EXIT.unreachable,
  DaemonUnreachable: EXIT.unreachable,
};

export function exitCodeOf(error: unknown): number {
  return (error instanceof MonocoreError ? BY_ERROR[error.code] : undefined) ?? EXIT.failed;
}
