/** Settings of log files, their format and retention: `[service.log]` and `[logs]` of the config. */
import * as v from 'valibot';
import { DAY_MS, MIB } from '../lib/units.ts';
import { amount, count } from './input.ts';
import { LOG_FORMATS, type LogFormat } from './log-files/formats.ts';

/** Format of the records: `text`, or `json` in pino's shape. */
export const LogFormatSchema = v.picklist(Object.keys(LOG_FORMATS) as LogFormat[]);

/** `gzip`: finished files become `<name>.log.gz`. */
export const LogCompressionSchema = v.picklist(['none', 'gzip']);

/**
 * Behaviour on a full disk. `block`: the service waits. `drop`: the service continues; its output is dropped and
 * counted.
 */
export const OnFullSchema = v.picklist(['block', 'drop']);

/** Levels of records, from the most to the least severe. */
export const LogLevelSchema = v.picklist(['error', 'warn', 'info', 'debug']);

/** Settings of a service, which apply to each of its streams. */
export const LogSettingsSchema = v.object({
  format: LogFormatSchema,
  /** Level of the records of stderr. */
  stderr_level: v.optional(LogLevelSchema, 'error'),
  /** Size after which a file is rotated, at the next newline. */
  max_size_bytes: amount(1),
  /** Age after which a file is rotated, measured from its first record when a new one arrives; null for never. */
  max_age_ms: v.nullable(amount()),
  /** Number of finished files to keep for each stream; null for no limit. */
  keep_files: v.nullable(count()),
  /** Maximum total size of the service's files; null for no limit. */
  keep_total_bytes: v.nullable(amount()),
  /** Time to keep a finished file, or any file of an ended service, after its last record; null for forever. */
  keep_for_ms: v.nullable(amount()),
  compress: LogCompressionSchema,
  /** Delay between the end of a file and its compression, so that shippers can read it. */
  compress_delay_ms: amount(),
  /** Length above which a line is split into several records. */
  max_line_bytes: amount(1),
  on_full: OnFullSchema,
});
export type LogSettings = v.InferOutput<typeof LogSettingsSchema>;

/**
 * Default settings. File size and retention of seven days are those of the Rust version. The total keeps a service with
 * endless output from filling the host's disk.
 */
export const DEFAULT_LOG_SETTINGS: LogSettings = Object.freeze({
  format: 'text',
  stderr_level: 'error',
  max_size_bytes: 10 * MIB,
  max_age_ms: null,
  keep_files: null,
  keep_total_bytes: 1024 * MIB,
  keep_for_ms: 7 * DAY_MS,
  compress: 'none',
  compress_delay_ms: 60_000,
  max_line_bytes: MIB / 4,
  on_full: 'block',
});

/** Log settings of a home: `[logs]` of a config, or what the configs of all its projects say together. */
export const HomeLogSettingsSchema = v.object({
  /** Maximum total size of the files of all services; null for no limit. */
  keep_total_bytes: v.nullable(amount()),
});
export type HomeLogSettings = v.InferOutput<typeof HomeLogSettingsSchema>;

export const DEFAULT_HOME_LOG_SETTINGS: HomeLogSettings = Object.freeze({ keep_total_bytes: null });
