/** Questions on the terminal. */
import { createInterface } from 'node:readline/promises';

/**
 * Asks for a yes; anything else, and the end of the input, is a no.
 *
 * @returns null at Ctrl-C
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
