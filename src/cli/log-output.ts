/** Log records on their way from the daemon to stdout. */
import { once } from 'node:events';
import { MonocoreError } from '../lib/errors.ts';
import type { LogQuery } from '../protocol/logs.ts';
import { checkWhole, type DaemonClient, toMonocoreError } from './client.ts';
import type { CliContext } from './connection.ts';
import { EXIT } from './exit-codes.ts';
import { catchInterrupt } from './operation.ts';
import { jsonLine } from './render/json-line.ts';
import { decorateRecord } from './render/log-record.ts';
import { RecordPrinter } from './render/log-records.ts';
import { escapeForJson, escapeForTerminal } from './render/terminal-text.ts';
import { TextLines } from './render/text-line.ts';

/** `text`: a line a record, for people. `json`: an object a line, for programs. */
export type OutputFormat = 'text' | 'json';

/**
 * Writes the records that `query` asks for, at the pace of the reader, so that a slow one costs no memory. Records in
 * the format that is asked for go byte for byte into files and pipes; on a terminal text is coloured, and no record can
 * do more there than to colour itself.
 *
 * @returns the exit code; `interrupted` when Ctrl-C ended it
 * @throws MonocoreError what the daemon answered; `DaemonUnreachable` when it ended in the middle
 */
export async function writeLogs(
  context: CliContext,
  client: DaemonClient,
  query: LogQuery,
  format: OutputFormat = 'text',
): Promise<number> {
  const { stdout, paths } = context;
  const interrupt = catchInterrupt();
  const printer = createPrinter(context, format);

  async function write(bytes: Buffer): Promise<void> {
    if (!stdout.write(bytes)) await once(stdout, 'drain');
  }

  try {
    const response = await client.logs(query, interrupt.signal);
    for await (const chunk of response) await write(printer.push(chunk));
    await write(printer.end());
    checkWhole(response);
    return EXIT.done;
  } catch (error) {
    if (interrupt.signal.aborted) return EXIT.interrupted;
    throw error instanceof MonocoreError ? error : toMonocoreError(error, paths.socket);
  } finally {
    interrupt.release();
  }
}

function createPrinter({ stdout, colors }: CliContext, format: OutputFormat): RecordPrinter {
  if (format === 'json') {
    return new RecordPrinter((record) => (stdout.isTTY ? escapeForJson(jsonLine(record)) : jsonLine(record)));
  }
  const lines = new TextLines();
  if (!stdout.isTTY) return new RecordPrinter((record) => lines.render(record), { keepsText: true });
  return new RecordPrinter((record) => decorateRecord(escapeForTerminal(lines.render(record)), colors));
}
