/** Runs of the doors on changed inputs. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SeededRandom } from '../chaos/random.ts';
import { clear, DOORS } from './doors.ts';
import { mutate } from './mutation.ts';

/** Time for one input on a busy host; every door bounds what it does. */
const SLOW_MS = 5000;

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
  const dir = mkdtempSync(join(tmpdir(), 'monocore-fuzz-'));
  const enter = async (input: Buffer): Promise<void> => {
    const beganMs = performance.now();
    try {
      await DOORS[door]!.enter(input, dir);
      const tookMs = performance.now() - beganMs;
      if (tookMs > SLOW_MS) throw new Error(`it took ${Math.round(tookMs)} ms`);
    } catch (error) {
      throw new Finding(door, input, error);
    } finally {
      clear(dir);
    }
  };
  try {
    for (const input of inputs) await enter(input);
    let count = 0;
    for (; goesOn(count); count += 1) await enter(mutate(inputs, random));
    return inputs.length + count;
  } finally {
    rmSync(dir, { recursive: true });
  }
}
