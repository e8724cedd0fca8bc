/** Command lines of the programs in test/chaos, test/load and test/fuzz. */
import { tmpdir } from 'node:os';
import { errorText } from '../../src/lib/errors.ts';

/** Options of a program that makes a home: its folder, and a report as JSON. */
export const COMMON_OPTIONS = {
  dir: { type: 'string', default: tmpdir() },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/**
 * Parses a command line, then checks its values. Prints the usage and ends the process when help is asked for; prints what
 * either throws and ends it with code 2.
 */
export function readOptions<Values extends { readonly help: boolean }, Result>(
  usage: string,
  parse: () => { readonly values: Values },
  check: (values: Values) => Result,
): Result {
  try {
    const { values } = parse();
    if (!values.help) return check(values);
  } catch (error) {
    console.error(errorText(error));
    process.exit(2);
  }
  console.log(usage);
  process.exit();
}

/** Parses a whole number. Throws an error that names the option if it is not one or out of range. */
export function readCount(name: string, text: string, least: number, most: number): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < least || count > most) {
    throw new Error(`--${name} ${text} is not a whole number from ${least} to ${most}`);
  }
  return count;
}
