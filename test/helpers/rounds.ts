/** Rounds of tests with random input. */

/** Set by `npm test -- --long`. */
const isLong = process.env.MONOCORE_TEST_LONG === '1';

/** Number of rounds: `long` in a long run, a quarter of it otherwise. Each run draws other input. */
export function rounds(long: number): number {
  return isLong ? long : Math.ceil(long / 4);
}
