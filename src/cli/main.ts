/** The `monocore` command: parses and runs a command line, and turns every error into a message and an exit code. */
import { CommanderError } from 'commander';
import { MonocoreError } from '../lib/errors.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { createParser } from './parser.ts';
import { safeOutput } from './render/safe-output.ts';
import { endOnBrokenOutput, textOptionsFor } from './render/terminal-text.ts';

/** Search path if PATH is not set, as in a shell; the daemon and its services use it as well. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Runs a command line, given as in `process.argv`. Never throws. @returns the exit code, see `exit-codes.ts` */
export async function main(argv: readonly string[]): Promise<number> {
  endOnBrokenOutput();
  process.env.PATH ||= DEFAULT_PATH;
  // With a handler, a write past `ulimit -f` fails with EFBIG; by default the signal would end the daemon.
  process.on('SIGXFSZ', () => {});
  let exitCode: number = EXIT.done;
  const program = createParser((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(argv);
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return reportParsing(error);
    return report(isFolderGone(error) ? new MonocoreError('Usage', FOLDER_GONE) : error);
  }
}

/** Commander also throws to end the program after it has printed the help or the version. */
async function reportParsing(error: CommanderError): Promise<number> {
  if (error.exitCode === 0) return EXIT.done;
  if (error.code === 'commander.help') return EXIT.usage;
  const message = error.message.replace(/^error: /, '').replace(/\n\(Did you mean (.+)\?\)$/, '; did you mean "$1"?');
  // The message on an invalid value already says what to give.
  const isValue = error.code === 'commander.invalidArgument';
  const details = isValue ? null : { hint: 'monocore help shows the commands and their options' };
  return report(new MonocoreError('Usage', message, { details }));
}

const FOLDER_GONE = 'the current folder was deleted; change to another one';

/** True for an error of `process.cwd()`, which every function that resolves a path may throw. */
function isFolderGone(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.syscall === 'uv_cwd';
}

async function report(error: unknown): Promise<number> {
  const { renderFailure } = await import('./render/failure.ts');
  safeOutput(process.stderr).write(renderFailure(error, textOptionsFor(process.stderr)));
  return exitCodeOf(error);
}
