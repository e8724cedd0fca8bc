/** From measurements to figures: medians over the rounds, and ratios within a round. */
import type { Contender } from './contender.ts';
import type { Load } from './loads.ts';
import { SPEED_TARGETS } from './targets.ts';
import type { Measurement } from './throughput.ts';

/** The contender that the others are compared with. */
export const BASELINE = 'monocore';

/** Figures of a contender under a load. */
export interface Figures {
  readonly load: string;
  readonly contender: Contender;
  readonly mbPerSecond: number;
  readonly millionLinesPerSecond: number;
  /** Speed of monocore in terms of that of this contender: the ratio within a round, the median over the rounds. */
  readonly ratio: number;
  /** Lowest ratio that is promised; null for none. */
  readonly target: number | null;
  readonly cpuSecondsPerGb: number;
  /** CPU time of this contender in terms of that of monocore, likewise. Other work on the host changes it least. */
  readonly cpuRatio: number;
  readonly lines: number;
  /** Of the worst round. */
  readonly wholeLines: number;
}

/** The figures of every contender under every load, in the order of `loads` and `contenders`. */
export function summarize(
  measurements: readonly Measurement[],
  loads: readonly Load[],
  contenders: readonly Contender[],
): Figures[] {
  return loads.flatMap((load) => {
    const ofLoad = measurements.filter((measurement) => measurement.load === load.name);
    const baselines = new Map(
      ofLoad.filter(({ contender }) => contender === BASELINE).map((measurement) => [measurement.round, measurement]),
    );
    return contenders.map((contender): Figures => {
      const own = ofLoad.filter((measurement) => measurement.contender === contender.name);
      return {
        load: load.name,
        contender,
        mbPerSecond: median(own.map(speed)) / 1e6,
        millionLinesPerSecond: median(own.map(speed)) / load.lineBytes / 1e6,
        ratio: median(own.map((measurement) => speed(baselines.get(measurement.round)!) / speed(measurement))),
        target: SPEED_TARGETS[load.name]?.[contender.name] ?? null,
        cpuSecondsPerGb: median(own.map(cpu)) * 1e9,
        cpuRatio: median(own.map((measurement) => cpu(measurement) / cpu(baselines.get(measurement.round)!))),
        lines: own[0]!.lines,
        wholeLines: Math.min(...own.map(({ wholeLines }) => wholeLines)),
      };
    });
  });
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Seconds per byte. */
function cpu({ bytes, cpuSeconds }: Measurement): number {
  return cpuSeconds / bytes;
}

/** Bytes per second. */
function speed({ bytes, seconds }: Measurement): number {
  return bytes / seconds;
}
