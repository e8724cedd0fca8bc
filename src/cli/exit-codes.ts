/** What the CLI's exit code means. */
import { type ErrorCode, MonocoreError } from '../lib/errors.ts';

/** `interrupted` is 128 + SIGINT, as shells have it. */
export const EXIT = { done: 0, failed: 1, usage: 2, unreachable: 3, interrupted: 130 } as const;

/** The part of `monocore --help` about exit codes. */
export const EXIT_CODE_HELP = `
Exit codes:
  0    done
  1    something failed: a service could not be started, a check of the host failed
  2    wrong usage or config
  3    the daemon cannot be reached or started
  130  interrupted
`;

const BY_ERROR: Record<ErrorCode, number> = {
  ConfigInvalid: EXIT.usage,
  Usage: EXIT.usage,
  ServiceUnknown: EXIT.usage,
  ImageUnknown: EXIT.usage,
  HomeUnusable: EXIT.unreachable,
  DaemonRunning: EXIT.unreachable,
  DaemonUnreachable: EXIT.unreachable,
  ToolMissing: EXIT.failed,
  ImageUnavailable: EXIT.failed,
  ImageInvalid: EXIT.failed,
  ImageInUse: EXIT.failed,
  StartFailed: EXIT.failed,
  StopFailed: EXIT.failed,
  ThreadDied: EXIT.failed,
  CallTimeout: EXIT.failed,
  Aborted: EXIT.failed,
  Internal: EXIT.failed,
};

/** The exit code for anything thrown. */
export function exitCodeOf(error: unknown): number {
  return error instanceof MonocoreError ? BY_ERROR[error.code] : EXIT.failed;
}
