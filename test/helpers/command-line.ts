/** Parsing of command lines that several tools share. */
import { errorText } from '../../src/lib/errors.ts';

/** Runs `parse`; what it throws ends the process with code 2. */
export function parseOrExit<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    console.error(errorText(error));
    process.exit(2);
  }
}

/** The whole number that `text` is. Throws when it is none, or out of range, naming the option. */
export function readCount(name: string, text: string, least: number, most: number): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < least || count > most) {
    throw new Error(`--${name} ${text} is no whole number from ${least} to ${most}`);
  }
  return count;
}
