/** Parsing and formatting of sizes, durations and times. */

export const KIB = 2 ** 10;
export const MIB = 2 ** 20;
export const SECOND_MS = 1000;
export const HOUR_MS = 3600e3;
export const DAY_MS = 24 * HOUR_MS;

const DURATION_FACTORS_MS: Record<string, number> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3 };

/**
 * Number of bytes in a size such as `512MiB`, `10MB`, `1.5G` or a bare number; null for any other text. SI prefixes are
 * powers of 1000, IEC prefixes (with an `i`) powers of 1024, as in IEC 80000-13.
 */
export function parseSize(text: string): number | null {
  const [, amount, prefix = '', binary] = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(i)?)?b?$/i.exec(text.trim()) ?? [];
  if (amount === undefined) return null;
  const exponent = prefix === '' ? 0 : 'kmgt'.indexOf(prefix.toLowerCase()) + 1;
  return Math.round(Number(amount) * (binary === undefined ? 1000 : 1024) ** exponent);
}

/** Milliseconds in `250ms`, `10s`, `5m`, `1h`, `7d`, `1h30m` or a bare number of seconds; null for any other text. */
export function parseDurationMs(text: string): number | null {
  const trimmed = text.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Math.round(Number(trimmed) * 1000);
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(trimmed)) return null;
  let totalMs = 0;
  for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * DURATION_FACTORS_MS[unit!]!;
  }
  return Math.round(totalMs);
}

/** Formats `1536` as `1.5 KiB`: at most three significant digits, IEC units. */
export function formatSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${Number(value.toFixed(digits))} ${units[unit]}`;
}

/** Formats `93784000` as `1d 2h`: the two largest units. */
export function formatDuration(durationMs: number): string {
  const seconds = Math.max(0, Math.floor(durationMs / 1000));
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first === -1) return '0s';
  return parts
    .slice(first, first + 2)
    .filter(([amount], index) => index === 0 || amount > 0)
    .map(([amount, unit]) => `${amount}${unit}`)
    .join(' ');
}

/** Formats `1536` as `1536`, `1572864` as `1536KiB`: the largest exact unit, as in configs. */
export function exactSize(bytes: number): string {
  const units = { GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10 };
  const exact = Object.entries(units).find(([, factor]) => bytes > 0 && bytes % factor === 0);
  return exact ? `${bytes / exact[1]}${exact[0]}` : String(bytes);
}

/** Formats `90000` as `90s`: the largest exact unit, as in configs. */
export function exactDuration(durationMs: number): string {
  const units = { d: 86_400e3, h: 3600e3, m: 60e3, s: 1000 };
  const exact = Object.entries(units).find(([, factor]) => durationMs > 0 && durationMs % factor === 0);
  return exact ? `${durationMs / exact[1]}${exact[0]}` : `${durationMs}ms`;
}

const TIME = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d(?:\.\d+)?)(?:[Zz]|([+-]\d\d:\d\d))$/;

/**
 * Milliseconds since the epoch of an RFC 3339 time such as `2026-11-23T08:00:00Z` or `2026-11-23 09:00:00.5+01:00`;
 * null for any other text. The zone is required: without it, the time would depend on the host.
 */
export function parseTimeMs(text: string): number | null {
  const [, date, time, zone = 'Z'] = TIME.exec(text.trim()) ?? [];
  if (date === undefined || time === undefined) return null;
  // Date.parse accepts February 30th and turns it into March 2nd.
  const midnightMs = Date.parse(`${date}T00:00:00Z`);
  if (Number.isNaN(midnightMs) || new Date(midnightMs).toISOString().slice(0, date.length) !== date) return null;
  const epochMs = Date.parse(`${date}T${time}${zone}`);
  return Number.isNaN(epochMs) ? null : epochMs;
}
