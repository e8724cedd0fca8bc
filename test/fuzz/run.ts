/** Runs of the doors on changed inputs. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deferred, within } from '../../src/lib/promises.ts';
import { SeededRandom } from '../chaos/random.ts';
import { DOORS } from './doors.ts';
import { mutate } from './mutation.ts';

/** Time of the processor for one input; every door bounds what it does. */
const SLOW_MS = 5000;
/** Time after which a door is taken for one that never ends, also on a busy host. */
const HANGS_MS = 120_000;

/** File system without a disk, which a busy host makes wait for minutes. */
const MEMORY = '/dev/shm';

/** Folder of the inputs that are kept for a door. */
export function corpusOf(door: string): string {
  return fileURLToPath(new URL(`./corpus/${door}`, import.meta.url));
}

/** An input that a door neither took nor refused. */
export class Finding extends Error {
  readonly door: string;
  readonly input: Buffer;

  constructor(door: string, input: Buffer, cause: unknown) {
    const shown = JSON.stringify(input.toString('latin1').slice(0, 400));
    super(`${door}: ${cause instanceof Error ? cause.stack : cause}\ninput of ${input.length} bytes: ${shown}`, {
      cause,
    });
    this.door = door;
    this.input = input;
  }
}

async function readInputs(door: string): Promise<Buffer[]> {
  const dir = corpusOf(door);
  const files = existsSync(dir) ? readdirSync(dir).map((name) => readFileSync(join(dir, name))) : [];
  return [...files, ...((await DOORS[door]!.seeds?.()) ?? [])];
}

/**
 * Sends the inputs of a door through it, then changes of them.
 *
 * @param goesOn asked before each change, with the number of those before
 * @returns the number of inputs
 * @throws Finding
 */
export async function runDoor(door: string, seed: number, goesOn: (count: number) => boolean): Promise<number> {
  const random = new SeededRandom(seed);
  const inputs = await readInputs(door);
  const { mend = (input) => input } = DOORS[door]!;
  // Thrown by a callback, for example of a socket.
  const uncaught = deferred<never>();
  uncaught.promise.catch(() => {});
  process.on('uncaughtException', uncaught.reject);
  const dir = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'monocore-fuzz-'));
  const enter = async (input: Buffer): Promise<void> => {
    const began = process.cpuUsage();
    try {
      const entered = Promise.resolve(DOORS[door]!.enter(input, dir)).then(() => true);
      const ended = await Promise.race([within(entered, HANGS_MS), uncaught.promise]);
      if (ended === null) throw new Error('it does not end');
      const { user, system } = process.cpuUsage(began);
      const tookMs = Math.round((user + system) / 1000);
      if (tookMs > SLOW_MS) throw new Error(`it took ${tookMs} ms of the processor`);
    } catch (error) {
      throw new Finding(door, input, error);
    } finally {
      for (const name of readdirSync(dir)) rmSync(join(dir, name), { recursive: true });
    }
  };
  try {
    for (const input of inputs) await enter(input);
    let count = 0;
    for (; goesOn(count); count += 1) await enter(mend(mutate(inputs, random)));
    return inputs.length + count;
  } finally {
    process.off('uncaughtException', uncaught.reject);
    rmSync(dir, { recursive: true });
  }
}
