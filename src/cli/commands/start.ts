/** `monocore start`. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { loadConfig } from '../../config/load.ts';
import { MonocoreError } from '../../errors.ts';
import { connect, noDaemonError } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { writeLogs } from '../log-output.ts';
import { runOperation } from '../operation.ts';
import { createSelection, selectFromConfig } from '../selection.ts';

/** Options of `start`. */
export interface StartOptions {
  /** Path of the config. */
  readonly file: string;
  readonly group?: string;
  readonly attach?: boolean;
  /** Path of a kernel image; wins over the config's. */
  readonly kernel?: string;
}

/** Absolute path of a kernel image. @throws MonocoreError `Usage` when there is no such file */
function checkKernel(path: string): string {
  const absolute = resolve(path);
  if (statSync(absolute, { throwIfNoEntry: false })?.isFile()) return absolute;
  throw new MonocoreError('Usage', `--kernel: ${absolute} is not a file`);
}

/**
 * Starts services and what they depend on, and the daemon if none runs.
 *
 * @returns the exit code
 * @throws MonocoreError `ConfigInvalid`, `ServiceUnknown` or `Usage` before any daemon is started
 */
export async function start(context: CliContext, names: readonly string[], options: StartOptions): Promise<number> {
  const selection = createSelection(names, options.group);
  const loaded = await loadConfig(resolve(options.file));
  const config = options.kernel === undefined ? loaded : { ...loaded, kernel: checkKernel(options.kernel) };
  const rows = selectFromConfig(config, selection);
  if (rows.length === 0) {
    context.stdout.write('nothing to start: no services are declared\n');
    return EXIT.done;
  }

  const startedAtMs = Date.now();
  const client = await connect(context, 'always');
  if (!client) throw noDaemonError(context.paths, 'monocore daemon run shows why');
  const { exitCode } = await runOperation(context, client, {
    verb: 'start',
    names: rows,
    perform: (signal) => client.start({ ...selection, config }, signal),
  });
  if (exitCode !== EXIT.done || !options.attach) return exitCode;

  const end = await writeLogs(context, client, {
    services: rows,
    streams: ['stdout', 'stderr'],
    tail: null,
    follow: true,
    // What the services printed from their start on, and nothing of earlier runs.
    filter: { sinceMs: startedAtMs, untilMs: null, grep: null },
  });
  if (end === EXIT.interrupted) {
    context.stderr.write('\nmonocore: the services keep running; to stop them: monocore stop\n');
  }
  return end;
}
