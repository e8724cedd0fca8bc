/** The middle of some numbers. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

/** As tables show it. */
export function round(value: number): number {
  return Number(value.toPrecision(3));
}

/** Runs `task` and tells how long it took, ms. */
export async function timed(task: () => Promise<unknown>): Promise<number> {
  const begunAt = performance.now();
  await task();
  return performance.now() - begunAt;
}
