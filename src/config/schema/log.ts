/** The keys of `[service.log]` and `[logs]`; see `schema.ts` for how they are written down. */
import * as v from 'valibot';
import { formatDuration, formatSize } from '../../lib/units.ts';
import {
  DEFAULT_LOG_SETTINGS,
  type HomeLogSettings,
  LogCompressionSchema,
  LogFormatSchema,
  type LogSettings,
  OnFullSchema,
} from '../../protocol/log-settings.ts';
import type { Values } from './config.ts';
import * as field from './fields.ts';

const KIB = 2 ** 10;
const MIN_FILE_BYTES = 4 * KIB;
/** gzip notes the size of what it compressed in 32 bits (RFC 1952), and a file may end behind its limit. */
const MAX_FILE_BYTES = 2 ** 31;
const MIN_LINE_BYTES = KIB;
/** JSON needs a whole line in memory before it can be written. */
const MAX_LINE_BYTES = 16 * 2 ** 20;
const MIN_DURATION_MS = 1000;
const DAY_MS = 86_400e3;
/** Ten years: longer is a slip of the pen, or meant as "forever". */
const MAX_DURATION_MS = 3650 * DAY_MS;
const SIZE = 'a size such as "10MiB"';
const DURATION = 'seconds or a duration such as "7d"';

const KeepFor = v.union(
  [
    v.pipe(
      v.literal('forever'),
      v.transform(() => null),
    ),
    field.durationMs(MIN_DURATION_MS, MAX_DURATION_MS),
  ],
  // Whatever the words of the second one are, they are the ones that say what is wrong.
  (issue) => issue.issues?.at(-1)?.message ?? 'is not a duration',
);

/** Keys of `[service.log]`. */
export function logEntries() {
  const defaults = DEFAULT_LOG_SETTINGS;
  return {
    format: v.pipe(
      v.optional(v.picklist(LogFormatSchema.options, 'is not a format'), defaults.format),
      v.description(LogFormatSchema.options.map((name) => `"${name}"`).join(' or ')),
    ),
    max_size: v.pipe(
      v.optional(field.sizeBytes(MIN_FILE_BYTES, MAX_FILE_BYTES), defaults.max_size_bytes),
      v.description(`${SIZE}, from ${formatSize(MIN_FILE_BYTES)} to ${formatSize(MAX_FILE_BYTES)}`),
    ),
    max_age: v.pipe(v.optional(field.durationMs(MIN_DURATION_MS, MAX_DURATION_MS)), v.description(DURATION)),
    keep: v.pipe(v.optional(field.Count), v.description('a number of files')),
    keep_total: v.pipe(
      v.optional(field.sizeBytes(MIN_FILE_BYTES, Number.MAX_SAFE_INTEGER)),
      v.description(`${SIZE}, at least ${formatSize(MIN_FILE_BYTES)}`),
    ),
    keep_for: v.pipe(v.optional(KeepFor, '7d'), v.description(`${DURATION}, or "forever"`)),
    compress: v.pipe(
      v.optional(v.picklist(LogCompressionSchema.options, 'is not a kind of compression'), defaults.compress),
      v.description('"none" or "gzip"'),
    ),
    compress_delay: v.pipe(
      v.optional(field.durationMs(0, DAY_MS), defaults.compress_delay_ms / 1000),
      v.description(`seconds or a duration such as "1m", at most ${formatDuration(DAY_MS)}`),
    ),
    max_line: v.pipe(
      v.optional(field.sizeBytes(MIN_LINE_BYTES, MAX_LINE_BYTES), defaults.max_line_bytes),
      v.description(`a size such as "256KiB", from ${formatSize(MIN_LINE_BYTES)} to ${formatSize(MAX_LINE_BYTES)}`),
    ),
    on_full: v.pipe(
      v.optional(v.picklist(OnFullSchema.options, 'is not known'), defaults.on_full),
      v.description('"block" or "drop"'),
    ),
  };
}

/** Keys of `[logs]`. */
export function homeLogEntries() {
  return {
    keep_total: v.pipe(
      v.optional(field.sizeBytes(MIN_FILE_BYTES, Number.MAX_SAFE_INTEGER)),
      v.description(`${SIZE}, at least ${formatSize(MIN_FILE_BYTES)}`),
    ),
  };
}

export type LogValues = Values<ReturnType<typeof logEntries>>;
export type HomeLogValues = Values<ReturnType<typeof homeLogEntries>>;

/** The settings that the valid keys of `[service.log]` are. */
export function toLogSettings(values: LogValues): LogSettings {
  return {
    format: values.format,
    max_size_bytes: values.max_size,
    max_age_ms: values.max_age ?? null,
    keep_files: values.keep ?? null,
    keep_total_bytes: values.keep_total ?? null,
    keep_for_ms: values.keep_for,
    compress: values.compress,
    compress_delay_ms: values.compress_delay,
    max_line_bytes: values.max_line,
    on_full: values.on_full,
  };
}

/** The settings that the valid keys of `[logs]` are. */
export function toHomeLogSettings(values: HomeLogValues): HomeLogSettings {
  return { keep_total_bytes: values.keep_total ?? null };
}
