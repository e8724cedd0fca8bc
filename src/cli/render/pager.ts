/** Long output through a pager, as git does it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Writes `text` to stdout, on a terminal through `$PAGER` or else `less`. An empty PAGER and `cat` mean no pager, and so
 * does a pager that cannot be started.
 */
export async function writePaged(stdout: NodeJS.WriteStream, text: string): Promise<void> {
  const command = process.env.PAGER ?? 'less';
  if (!stdout.isTTY || command.trim() === '' || command === 'cat' || !(await runPager(command, text))) {
    stdout.write(text);
  }
}

/** False when the shell does not find the pager. */
async function runPager(command: string, text: string): Promise<boolean> {
  // F: end at once where the text fits the screen; R: colours; X: leave the text on the screen. git sets the same.
  const env = { LESS: 'FRX', LV: '-c', ...process.env };
  const child = spawn(command, { shell: true, env, stdio: ['pipe', 'inherit', 'inherit'] });
  // Ctrl-C is the pager's, as in man(1); it may end before it has read everything.
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
