/** Shows long output in a pager, as git does. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Writes `text` to stdout; on a terminal through `$PAGER`, or `less` by default. An empty PAGER, `cat` and a pager that
 * cannot be started mean no pager.
 */
export async function writePaged(stdout: NodeJS.WriteStream, text: string): Promise<void> {
  const command = process.env.PAGER ?? 'less';
  if (!stdout.isTTY || command.trim() === '' || command === 'cat' || !(await runPager(command, text))) {
    stdout.write(text);
  }
}

/** Runs the pager; false if the shell does not find it. */
async function runPager(command: string, text: string): Promise<boolean> {
  // F: quit if the text fits on the screen; R: colours; X: leave the text on the screen. git sets the same.
  const env = { LESS: 'FRX', LV: '-c', ...process.env };
  const child = spawn(command, { shell: true, env, stdio: ['pipe', 'inherit', 'inherit'] });
  // Ctrl-C belongs to the pager, as in man(1), and the pager may quit before it has read everything.
  const ignore = () => {};
  process.on('SIGINT', ignore);
  child.stdin.on('error', ignore);
  child.stdin.end(text);
  try {
    const [code] = await once(child, 'exit');
    return code !== 127;
  } catch {
    return false;
  } finally {
    process.off('SIGINT', ignore);
  }
}
