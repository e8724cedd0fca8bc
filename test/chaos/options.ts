/** The command line of `npm run chaos`. */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { COMMON_OPTIONS, readCount, readOptions } from '../helpers/command-line.ts';
import { ACTION_TYPES, type ActionType } from './schedule.ts';

/** Options of a run. */
export interface ChaosOptions {
  /** Time for actions; the checks take half a minute more. */
  readonly minutes: number;
  /** VMs included. */
  readonly services: number;
  readonly vms: number;
  /** True: VMs are fake machines, which need no QEMU. */
  readonly fake: boolean;
  /** Decides about everything that is not up to the machine. */
  readonly seed: number;
  /** Folder for the home. */
  readonly dir: string;
  /** Actions left out. */
  readonly without: readonly ActionType[];
}

/** Options of the command line. */
interface CommandLine extends ChaosOptions {
  readonly json: boolean;
}

const USAGE = `usage: npm run chaos -- [options]
  --minutes N    how long, 10 by default
  --services N   how many services, 20 by default
  --vms N        how many of them are microVMs, 2 by default; the others are plain processes
  --fake         fake machines in place of QEMU
  --seed N       repeats the decisions of an earlier run; the date by default
  --without TYPE leaves actions out: ${ACTION_TYPES.join(', ')}; may be repeated
  --dir DIR      where the home is made, ${tmpdir()} by default
  --json         the report as JSON`;

const MAX_SEED = 2 ** 32 - 1;

/** Reads the arguments, as {@link readOptions} does. */
export function readChaosOptions(args: readonly string[]): CommandLine {
  const options = {
    ...COMMON_OPTIONS,
    minutes: { type: 'string', default: '10' },
    services: { type: 'string', default: '20' },
    vms: { type: 'string', default: '2' },
    fake: { type: 'boolean', default: false },
    seed: { type: 'string', default: seedOfDay(new Date()) },
    without: { type: 'string', multiple: true, default: [] as string[] },
  } as const;
  const parse = () => parseArgs({ args: [...args], options });
  return readOptions(USAGE, parse, ({ fake, dir, json, ...values }) => {
    const minutes = Number(values.minutes);
    if (!(minutes > 0)) throw new Error(`--minutes ${values.minutes} is not a number above 0`);
    const services = readCount('services', values.services, 1, 500);
    const vms = readCount('vms', values.vms, 0, services);
    const seed = readCount('seed', values.seed, 0, MAX_SEED);
    const unknown = values.without.filter((type) => !(ACTION_TYPES as string[]).includes(type));
    if (unknown.length > 0)
      throw new Error(`--without ${unknown.join(', ')}: the actions are ${ACTION_TYPES.join(', ')}`);
    return { minutes, services, vms, fake, seed, dir, without: values.without as ActionType[], json };
  });
}

/** Seed that changes from day to day: `20261123`. */
function seedOfDay(day: Date): string {
  return day.toISOString().slice(0, 10).replaceAll('-', '');
}
