/** `monocore logs`. */
import { STREAM_NAMES, type StreamName } from '../../protocol/logs.ts';
import { connect, noDaemonError } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { writeLogs } from '../log-output.ts';

/** Records that are shown before those that follow. */
export const FOLLOW_TAIL = 10;

/** Options of `logs`; a stream that is asked for is true. */
export interface LogsOptions extends Partial<Readonly<Record<StreamName, boolean>>> {
  readonly follow?: boolean;
  /** Last records to show. */
  readonly lines?: number;
}

/** Prints the log of services, of all without names. Returns the exit code. */
export async function logs(context: CliContext, names: readonly string[], options: LogsOptions): Promise<number> {
  const follow = options.follow ?? false;
  const chosen = STREAM_NAMES.filter((stream) => options[stream]);
  const client = await connect(context, 'for-records');
  if (!client) throw noDaemonError(context.paths, `what services printed earlier is in ${context.paths.logDir}`);
  return writeLogs(context, client, {
    services: [...new Set(names)],
    streams: chosen.length > 0 ? chosen : ['stdout', 'stderr'],
    tail: options.lines ?? (follow ? FOLLOW_TAIL : null),
    follow,
  });
}
