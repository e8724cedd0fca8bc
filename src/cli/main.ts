/** The `monocore` command: parses and runs a command line, and turns every failure into a message and an exit code. */
import { CommanderError } from 'commander';
import { MonocoreError } from '../lib/errors.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { createParser } from './parser.ts';
import { safeOutput } from './render/safe-output.ts';
import { endOnBrokenOutput, textOptionsFor } from './render/terminal-text.ts';

/** Runs a command line, given as in `process.argv`. Never throws. @returns the exit code, see `exit-codes.ts` */
export async function main(argv: readonly string[]): Promise<number> {
  endOnBrokenOutput();
  let exitCode: number = EXIT.done;
  const program = createParser((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(argv);
    return exitCode;
  } catch (error) {
    return error instanceof CommanderError ? reportParsing(error) : report(error);
  }
}

/** Commander also throws to end the program after it has printed the help or the version. */
async function reportParsing(error: CommanderError): Promise<number> {
  if (error.exitCode === 0) return EXIT.done;
  if (error.code === 'commander.help') return EXIT.usage;
  const message = error.message.replace(/^error: /, '').replace(/\n\(Did you mean (.+)\?\)$/, '; did you mean "$1"?');
  // The message on a faulty value says what to give.
  const isValue = error.code === 'commander.invalidArgument';
  const details = isValue ? null : { hint: 'monocore help shows the commands and their options' };
  return report(new MonocoreError('Usage', message, { details }));
}

async function report(error: unknown): Promise<number> {
  const { renderFailure } = await import('./render/failure.ts');
  safeOutput(process.stderr).write(renderFailure(error, textOptionsFor(process.stderr)));
  return exitCodeOf(error);
}
