/**
 * Sends random input through every door, one after the other and again: `npm run fuzz`. An input that a door neither takes
 * nor refuses is put into its corpus, where it becomes a test, and ends the run.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readCount, readOptions } from '../helpers/command-line.ts';
import { DOORS } from './doors.ts';
import { corpusOf, Finding, runDoor } from './run.ts';

const USAGE = `usage: npm run fuzz -- [options]
  --minutes N    how long, 15 by default
  --door NAME    one door only: ${Object.keys(DOORS).join(', ')}
  --seed N       repeats the inputs of an earlier run`;

/** Time of a door before the next one has its turn. */
const TURN_MS = 5000;
const MAX_SEED = 2 ** 32 - 1;

const { minutes, doors, seed } = readOptions(
  USAGE,
  () =>
    parseArgs({
      options: {
        minutes: { type: 'string', default: '15' },
        door: { type: 'string' },
        seed: { type: 'string', default: String(Math.floor(Math.random() * MAX_SEED)) },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }),
  ({ door, ...values }) => {
    const parsed = Number(values.minutes);
    if (!(parsed > 0)) throw new Error(`--minutes ${values.minutes} is not a number above 0`);
    if (door !== undefined && !Object.hasOwn(DOORS, door)) throw new Error(`--door ${door} is not a door`);
    const names = door === undefined ? Object.keys(DOORS) : [door];
    return { minutes: parsed, doors: names, seed: readCount('seed', values.seed, 0, MAX_SEED) };
  },
);

console.log(`seed ${seed}: ${doors.length} doors, ${minutes} minutes`);
const endMs = performance.now() + minutes * 60_000;
const counts = new Map(doors.map((door) => [door, 0]));
try {
  for (let turn = 0; performance.now() < endMs; turn += 1) {
    for (const door of doors) {
      const untilMs = Math.min(endMs, performance.now() + TURN_MS);
      const count = await runDoor(door, seed + turn, () => performance.now() < untilMs);
      counts.set(door, counts.get(door)! + count);
    }
  }
} catch (error) {
  if (!(error instanceof Finding)) throw error;
  const dir = corpusOf(error.door);
  const path = join(dir, `found-${createHash('sha256').update(error.input).digest('hex').slice(0, 8)}`);
  mkdirSync(dir, { recursive: true });
  writeFileSync(path, error.input);
  console.error(`${error.message}\nkept as ${path}`);
  process.exitCode = 1;
}
for (const [door, count] of counts) console.log(`${door.padEnd(10)} ${count} inputs`);
