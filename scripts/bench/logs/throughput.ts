/** Every contender under every load, in fresh processes, the order reversed from round to round. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Contender } from './contender.ts';
import { countLines, type Load, producerOf, writeInput } from './loads.ts';
import { countWholeLines } from './output-check.ts';

/** Measurement of a contender under a load in a round. */
export interface Measurement {
  readonly round: number;
  readonly load: string;
  readonly contender: string;
  readonly lines: number;
  /** Lines that are in its files in one piece. */
  readonly wholeLines: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** Options of a measurement. */
interface ThroughputOptions {
  /** A folder for this alone. */
  readonly dir: string;
  readonly rounds: number;
  readonly mb: number;
  readonly loads: readonly Load[];
  readonly contenders: readonly Contender[];
  readonly onProgress: (text: string) => void;
}

/** Measures. Files are removed as soon as they were looked at, so most of them never reach the disk itself. */
export async function measureThroughput(options: ThroughputOptions): Promise<Measurement[]> {
  const { dir, rounds, mb, loads, contenders, onProgress } = options;
  for (const lineBytes of new Set(loads.map((load) => load.lineBytes))) {
    const counts = loads.filter((load) => load.lineBytes === lineBytes).map((load) => countLines(load, mb, 1));
    writeInput(dir, lineBytes, Math.max(...counts));
  }
  const measurements: Measurement[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const order = round % 2 === 1 ? contenders : contenders.toReversed();
    for (const load of loads) {
      for (const contender of order) {
        onProgress(`round ${round} of ${rounds}: ${load.name}, ${contender.name}`);
        measurements.push({ round, ...(await measure(contender, load, options)) });
      }
    }
  }
  return measurements;
}

async function measure(
  contender: Contender,
  load: Load,
  { dir, mb }: ThroughputOptions,
): Promise<Omit<Measurement, 'round'>> {
  const runDir = join(dir, 'run');
  const outDir = join(runDir, 'out');
  mkdirSync(outDir, { recursive: true });
  try {
    const lines = countLines(load, mb, contender.share);
    const producer = producerOf(load, dir, lines);
    const { seconds, cpuSeconds } = await contender.measure({ dir: runDir, outDir, producer });
    const wholeLines = countWholeLines(outDir, producer);
    const bytes = lines * load.lineBytes;
    return { load: load.name, contender: contender.name, lines, wholeLines, bytes, seconds, cpuSeconds };
  } finally {
    rmSync(runDir, { recursive: true });
  }
}
