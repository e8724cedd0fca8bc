/** The command line of `npm run load`. */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { COMMON_OPTIONS, readCount, readOptions } from '../helpers/command-line.ts';

/** Options of a measurement. */
export interface LoadOptions {
  /** Numbers of services, one run for each. */
  readonly services: readonly number[];
  readonly isolation: 'vm' | 'none';
  /** That each service prints. */
  readonly lines: number;
  /** Over how long it prints them. */
  readonly seconds: number;
  /** Also start the same without monocore, for comparison. */
  readonly peers: boolean;
  /** Folder for the home. */
  readonly dir: string;
}

/** Options of the command line. */
interface CommandLine extends LoadOptions {
  readonly json: boolean;
  /** Path of an SVG to write, or null. */
  readonly plot: string | null;
}

const USAGE = `usage: npm run load -- [options]
  --services N        how many services, 48 by default; N,N,… for one run after the other
  --isolation KIND    vm (the default) or none, plain processes
  --lines N           lines that each prints, 2000 by default
  --seconds N         over how long, 60 by default
  --peers             start the same without monocore, too: vm: QEMU in a shell loop; none: spawn in a loop, and pm2
  --plot FILE         draw times and delays over the number of services, SVG
  --dir DIR           where the home is made, ${tmpdir()} by default
  --json              the figures as JSON`;

/** Reads the arguments, as {@link readOptions} does. */
export function readLoadOptions(args: readonly string[]): CommandLine {
  const options = {
    ...COMMON_OPTIONS,
    services: { type: 'string', default: '48' },
    isolation: { type: 'string', default: 'vm' },
    lines: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '60' },
    peers: { type: 'boolean', default: false },
    plot: { type: 'string' },
  } as const;
  const parse = () => parseArgs({ args: [...args], options });
  return readOptions(USAGE, parse, ({ isolation, peers, plot = null, dir, json, ...values }) => {
    if (isolation !== 'vm' && isolation !== 'none') throw new Error(`--isolation ${isolation}: it is vm or none`);
    const services = values.services.split(',').map((text) => readCount('services', text, 1, 1000));
    const lines = readCount('lines', values.lines, 1, 1_000_000);
    const seconds = readCount('seconds', values.seconds, 1, 3600);
    return { services, isolation, lines, seconds, peers, plot, dir, json };
  });
}
