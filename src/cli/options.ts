/** Parsers for option values, in the form that commander expects. */
import { InvalidArgumentError } from 'commander';
import { errorText, MonocoreError } from '../lib/errors.ts';
import { parseDurationMs, parseSize, parseTimeMs } from '../lib/units.ts';
import type { Selection } from '../protocol/api.ts';
import { compilePattern } from '../protocol/log-files/queries.ts';

/** Returns the value; reports `advice` if it is null. */
function valid<T>(value: T | null, advice: string): T {
  if (value === null) throw new InvalidArgumentError(advice);
  return value;
}

/** Milliseconds of `10`, `1.5`, `500ms` or `1m`; a bare number is seconds. */
export function parseTimeoutOption(text: string): number {
  return valid(parseDurationMs(text), 'Give seconds, or a duration like 500ms or 1m.');
}

export function parseCountOption(text: string): number {
  return valid(/^\d{1,15}$/.test(text) ? Number(text) : null, 'Give a whole number.');
}

/** Maximum number of log workers; more would only cost memory. */
const MAX_LOG_WORKERS = 64;

export function parseThreadsOption(text: string): number {
  const count = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  const isFit = count >= 1 && count <= MAX_LOG_WORKERS;
  return valid(isFit ? count : null, `Give a whole number from 1 to ${MAX_LOG_WORKERS}.`);
}

/** Milliseconds since the epoch, from an RFC 3339 time or a duration before now. */
export function parseTimeOption(text: string): number {
  // A bare number is rejected: it could mean seconds ago or since the epoch.
  const agoMs = /^[\d.]+$/.test(text.trim()) ? null : parseDurationMs(text);
  const epochMs = agoMs === null ? parseTimeMs(text) : Date.now() - agoMs;
  const advice = 'Give a time with its zone, 2026-11-23T08:00:00Z, or how long ago: 10m, 2h30m.';
  return valid(epochMs === null || epochMs < 0 ? null : epochMs, advice);
}

export function parsePatternOption(text: string): string {
  if (text === '') throw new InvalidArgumentError('Give a pattern.');
  try {
    compilePattern({ source: text, ignoreCase: false });
  } catch (error) {
    throw new InvalidArgumentError(`${errorText(error)}.`);
  }
  return text;
}

/** Bytes of `16GiB`, `500MB` or a bare number. */
export function parseSizeOption(text: string): number {
  return valid(parseSize(text), 'Give a size like 16GiB or 500MB.');
}

/** Collects the values of an option that may be repeated, in order. */
export function collectOption(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/**
 * Services that a command applies to: the named ones, or else a group, or else all.
 *
 * @throws MonocoreError `Usage` for names together with a group, because one of them would have no effect
 */
export function createSelection(names: readonly string[], group: string | undefined): Selection {
  if (names.length > 0 && group !== undefined) {
    throw new MonocoreError('Usage', 'give names of services or --group, not both');
  }
  return { names: [...new Set(names)], group: group ?? null };
}
