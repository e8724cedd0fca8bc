/** The command line of `npm run bench:logs`. */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { errorText } from '../../../src/lib/errors.ts';

/** Options of the command line. */
interface Options {
  /** Every contender is measured once a round. */
  readonly rounds: number;
  /** Megabytes (10^6 bytes) of the largest loads. */
  readonly mb: number;
  /** Names of contenders and of loads; empty for all. */
  readonly only: readonly string[];
  /** The disk to write to. */
  readonly dir: string;
  readonly json: boolean;
  readonly markdown: boolean;
  /** Fail when a target is missed. */
  readonly check: boolean;
}

const USAGE = `usage: npm run bench:logs -- [options]
  --rounds N   how often everything is measured, 3 by default
  --mb N       megabytes of the largest loads, 256 by default
  --only NAME  this contender or this load only; may be repeated
  --dir DIR    a folder on the disk to write to, ${tmpdir()} by default
  --json       every figure of every round
  --markdown   the throughput as one table, as in the manual
  --check      end with code 1 when a target is missed`;

/** Reads the arguments. Ends the process when help is asked for, and with code 2 when they are wrong. */
export function readOptions(args: readonly string[], names: readonly string[]): Options {
  try {
    return parseOptions(args, names);
  } catch (error) {
    console.error(errorText(error));
    process.exit(2);
  }
}

function parseOptions(args: readonly string[], names: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '3' },
      mb: { type: 'string', default: '256' },
      only: { type: 'string', multiple: true, default: [] },
      dir: { type: 'string', default: tmpdir() },
      json: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(`${USAGE}\nnames: ${names.join(' ')}`);
    process.exit();
  }
  const unknown = values.only.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`--only ${unknown.join(', ')}: the names are ${names.join(' ')}`);
  const rounds = Number(values.rounds);
  const mb = Number(values.mb);
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`--rounds ${values.rounds} is not a whole number above 0`);
  if (!(mb > 0)) throw new Error(`--mb ${values.mb} is not a number above 0`);
  const { only, dir, json, markdown, check } = values;
  return { rounds, mb, only, dir, json, markdown, check };
}
