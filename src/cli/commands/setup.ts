/** `monocore setup`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { errorText, MonocoreError } from '../../lib/errors.ts';
import { SETUP_SCRIPT } from '../../lib/package-info.ts';
import type { CliContext } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';

/**
 * Runs the script that prepares the host and the home, on the terminal of the command. It is a shell script because a
 * fresh checkout runs it before the first build. The running program is not rebuilt.
 *
 * @throws MonocoreError `ToolMissing` without bash
 */
export async function setup(context: CliContext): Promise<number> {
  const script = spawn('bash', [SETUP_SCRIPT, '--host'], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, MONOCORE_HOME: context.paths.home },
  });
  try {
    const [code] = await once(script, 'exit');
    if (code === 0) context.stdout.write('This host is set up; monocore doctor shows what it has.\n');
    return code === 0 ? EXIT.done : EXIT.failed;
  } catch (error) {
    throw new MonocoreError('ToolMissing', `the set-up script cannot run: ${errorText(error)}; install bash`, {
      cause: error,
    });
  }
}
