/** Questions on the terminal. */
import { createInterface } from 'node:readline/promises';

/**
 * Asks a yes-or-no question; anything but yes, including end of input, means no.
 *
 * @returns null on Ctrl-C
 */
export async function confirm(
  question: string,
  output: NodeJS.WritableStream,
  input: NodeJS.ReadableStream = process.stdin,
): Promise<boolean | null> {
  const terminal = createInterface({ input, output });
  const ended = new AbortController();
  let isInterrupted = false;
  terminal.on('SIGINT', () => {
    isInterrupted = true;
    terminal.close();
  });
  terminal.on('close', () => ended.abort());
  try {
    const answer = await terminal.question(`${question} [y/N] `, { signal: ended.signal });
    return /^y(es)?$/i.test(answer.trim());
  } catch {
    output.write('\n');
    return isInterrupted ? null : false;
  } finally {
    terminal.close();
  }
}
