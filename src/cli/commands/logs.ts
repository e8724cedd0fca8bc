/** `monocore logs`. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { MonocoreError } from '../../lib/errors.ts';
import type { Selection } from '../../protocol/api.ts';
import { STREAM_NAMES, type StreamName } from '../../protocol/log-files/names.ts';
import { filterOf, type LogQuery } from '../../protocol/log-files/queries.ts';
import { select } from '../../protocol/selection.ts';
import type { DaemonClient } from '../client.ts';
import { type CliContext, connect, listStoredServices, requireDaemon } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { catchInterrupt } from '../operation.ts';
import { chooseServices, commandFor, type ScopeOptions } from '../project.ts';
import { createRecordPrinter, type OutputFormat } from '../render/log-records.ts';

/** Records to show before following new ones. */
const FOLLOW_TAIL = 10;

/** Options of `logs`; each selected stream is true. */
interface LogsOptions extends ScopeOptions, Partial<Readonly<Record<StreamName, boolean>>> {
  readonly follow?: boolean;
  readonly lines?: number;
  /** Milliseconds since the epoch. */
  readonly since?: number;
  readonly until?: number;
  readonly grep?: string;
  readonly ignoreCase?: boolean;
  readonly json?: boolean;
}

/** Prints the logs of services. Never starts a daemon. @throws MonocoreError `Usage` for options that contradict each other */
export async function logs(context: CliContext, options: LogsOptions, names: readonly string[]): Promise<number> {
  const query = toQuery(names, options);
  const selection = await chooseServices(names, options, 'all');
  const client = await connect(context, 'never');
  const format = options.json ? 'json' : 'text';
  if (!client) return writeStoredLogs(context, selection, query, format, options.file);
  if (!selection.project) return writeLogs(context, client, query, format);
  const services = (await client.services(selection)).services.map(({ name }) => name);
  // A query without names would select all services of the home.
  return services.length === 0 ? EXIT.done : writeLogs(context, client, { ...query, services }, format);
}

function toQuery(names: readonly string[], options: LogsOptions): LogQuery {
  const { follow = false, since, until, lines, grep, ignoreCase = false } = options;
  if (ignoreCase && grep === undefined) {
    throw new MonocoreError('Usage', '--ignore-case has no effect without --grep; add --grep');
  }
  if (since !== undefined && until !== undefined && since > until) {
    throw new MonocoreError('Usage', '--since is after --until: no record can match');
  }
  const chosen = STREAM_NAMES.filter((stream) => options[stream]);
  return {
    services: [...new Set(names)],
    streams: chosen.length > 0 ? chosen : ['stdout', 'stderr'],
    tail: lines ?? (follow && since === undefined ? FOLLOW_TAIL : null),
    follow,
    ...filterOf(since, until, grep, ignoreCase),
  };
}

/**
 * Writes the records that `query` selects to stdout. Reads no faster than stdout accepts, so that a slow reader costs
 * no memory.
 *
 * @returns the exit code, `interrupted` after Ctrl-C
 * @throws MonocoreError the error that the daemon sent; `DaemonUnreachable` if the daemon ended before the last record
 */
export function writeLogs(
  context: CliContext,
  client: DaemonClient,
  query: LogQuery,
  format: OutputFormat = 'text',
): Promise<number> {
  return printLogs(context, format, async (write, signal) => {
    for await (const chunk of client.logs(query, signal)) await write(chunk);
  });
}

/**
 * Does the same as {@link writeLogs} from the log files, where nothing can be followed.
 *
 * @throws MonocoreError `ServiceUnknown`
 */
export async function writeStoredLogs(
  context: CliContext,
  selection: Selection,
  query: LogQuery,
  format: OutputFormat,
  file?: string,
): Promise<number> {
  const services = await listStoredServices(context, file);
  if (services.length === 0) {
    const { logDir } = context.paths;
    await requireDaemon(
      context,
      'never',
      existsSync(logDir) ? `earlier logs are in ${logDir}` : `to start services: ${commandFor('start', file)}`,
    );
  }
  const chosen = select(services, selection, context.paths.home);
  // A query without names would select all services of the home.
  if (chosen.length === 0) return EXIT.done;
  const { readStoredLogs } = await import('../../logs/stored-logs.ts');
  const stored = { ...query, services: chosen.map(({ name }) => name), follow: false };
  return printLogs(context, format, (write, signal) =>
    readStoredLogs(context.paths.logDir, stored, (bytes) => write(Buffer.from(bytes)), signal),
  );
}

async function printLogs(
  { stdout, colors }: CliContext,
  format: OutputFormat,
  read: (write: (bytes: Buffer) => Promise<void>, signal: AbortSignal) => Promise<void>,
): Promise<number> {
  const interrupt = catchInterrupt();
  const printer = createRecordPrinter(format, stdout.isTTY, colors);
  const write = async (bytes: Buffer): Promise<void> => {
    if (!stdout.write(bytes)) await once(stdout, 'drain');
  };
  try {
    await read((bytes) => write(printer.push(bytes)), interrupt.signal);
    if (interrupt.signal.aborted) return EXIT.interrupted;
    await write(printer.end());
    return EXIT.done;
  } catch (error) {
    if (interrupt.signal.aborted) return EXIT.interrupted;
    await write(printer.end());
    throw error;
  } finally {
    interrupt.release();
  }
}
