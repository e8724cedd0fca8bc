/** Values of options as people write them. */
import { InvalidArgumentError } from 'commander';
import { parseDurationMs } from '../units.ts';

/** Milliseconds of `10`, `1.5`, `500ms` or `1m`: a bare number is seconds. For commander. */
export function parseTimeoutOption(text: string): number {
  const timeoutMs = parseDurationMs(text);
  if (timeoutMs === null) throw new InvalidArgumentError('Give seconds, or a duration like 500ms or 1m.');
  return timeoutMs;
}

/** A whole number of records, zero included. For commander. */
export function parseCountOption(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('Give a whole number.');
  return Number(text);
}

/** More log workers than this only cost memory. */
const MAX_LOG_WORKERS = 64;

/** A number of threads. For commander. */
export function parseThreadsOption(text: string): number {
  const count = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > MAX_LOG_WORKERS) {
    throw new InvalidArgumentError(`Give a whole number from 1 to ${MAX_LOG_WORKERS}.`);
  }
  return count;
}
