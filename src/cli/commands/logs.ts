/** `monocore logs`. */
import { MonocoreError } from '../../lib/errors.ts';
import { type LogFilter, type LogQuery, STREAM_NAMES, type StreamName } from '../../protocol/logs.ts';
import { type CliContext, connect, noDaemonError } from '../connection.ts';
import { writeLogs } from '../log-output.ts';

/** Records that are shown before those that follow. */
const FOLLOW_TAIL = 10;

/** Options of `logs`; a stream that is asked for is true. */
export interface LogsOptions extends Partial<Readonly<Record<StreamName, boolean>>> {
  readonly follow?: boolean;
  /** Last records to show. */
  readonly lines?: number;
  /** Milliseconds since the epoch. */
  readonly since?: number;
  readonly until?: number;
  /** A regular expression. */
  readonly grep?: string;
  readonly ignoreCase?: boolean;
  readonly json?: boolean;
}

/**
 * Prints the log of services, of all without names. Returns the exit code.
 *
 * @throws MonocoreError `Usage` for options that make no sense together
 */
export async function logs(context: CliContext, names: readonly string[], options: LogsOptions): Promise<number> {
  const query = toQuery(names, options);
  const client = await connect(context, 'for-records');
  if (!client) throw noDaemonError(context.paths, `what services printed earlier is in ${context.paths.logDir}`);
  return writeLogs(context, client, query, options.json ? 'json' : 'text');
}

function toQuery(names: readonly string[], options: LogsOptions): LogQuery {
  const { follow = false, since, lines } = options;
  const chosen = STREAM_NAMES.filter((stream) => options[stream]);
  const filter = toFilter(options);
  return {
    services: [...new Set(names)],
    streams: chosen.length > 0 ? chosen : ['stdout', 'stderr'],
    tail: lines ?? (follow && since === undefined ? FOLLOW_TAIL : null),
    follow,
    ...(filter ? { filter } : {}),
  };
}

function toFilter({ since, until, grep, ignoreCase = false }: LogsOptions): LogFilter | null {
  if (ignoreCase && grep === undefined) throw new MonocoreError('Usage', '--ignore-case is for --grep, give both');
  if (since !== undefined && until !== undefined && since > until) {
    throw new MonocoreError('Usage', '--since is after --until: no record can be between them');
  }
  if (since === undefined && until === undefined && grep === undefined) return null;
  const pattern = grep === undefined ? null : { source: grep, ignoreCase };
  return { sinceMs: since ?? null, untilMs: until ?? null, grep: pattern };
}
