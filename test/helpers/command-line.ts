/** Parsing of command lines that several tools share. */
import { errorText } from '../../src/lib/errors.ts';

/** Runs `parse`. An error ends the process with code 2. */
export function parseOrExit<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    console.error(errorText(error));
    process.exit(2);
  }
}

/** Parses a whole number. Throws an error that names the option if it is not one or out of range. */
export function readCount(name: string, text: string, least: number, most: number): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < least || count > most) {
    throw new Error(`--${name} ${text} is not a whole number from ${least} to ${most}`);
  }
  return count;
}
