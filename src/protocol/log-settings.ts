/** Settings of log files, their format and retention: `[service.log]` and `[logs]` of the config. */
import * as v from 'valibot';
import { DAY_MS, MIB } from '../lib/units.ts';
import { amount, count } from './input.ts';
import { LOG_FORMATS, type LogFormat } from './log-files/formats.ts';

/** Format of the records: `text`, `json` in pino's shape. */
export const LogFormatSchema = v.picklist(Object.keys(LOG_FORMATS) as LogFormat[]);

/** `gzip`: finished files become `<name>.log.gz`. */
export const LogCompressionSchema = v.picklist(['none', 'gzip']);

/** Behaviour on a full disk. `block`: the service waits. `drop`: it goes on; its output is dropped and counted. */
export const OnFullSchema = v.picklist(['block', 'drop']);

/** Settings of a service, for each of its streams. */
export const LogSettingsSchema = v.object({
  format: LogFormatSchema,
  /** A file ends at the first newline at or past this many bytes. */
  max_size_bytes: amount(1),
  /** A file ends when a record comes this long after its first one; null for never. */
  max_age_ms: v.nullable(amount()),
  /** Finished files to keep of each stream; null for no limit. */
  keep_files: v.nullable(count()),
  /** Total size of the service's files; null for no limit. */
  keep_total_bytes: v.nullable(amount()),
  /** Time to keep a finished file, or any file of an ended service, after its last record; null for forever. */
  keep_for_ms: v.nullable(amount()),
  compress: LogCompressionSchema,
  /** Time from the end of a file to its compression, in which shippers can read it. */
  compress_delay_ms: amount(),
  /** Longer lines become several records. */
  max_line_bytes: amount(1),
  on_full: OnFullSchema,
});
export type LogSettings = v.InferOutput<typeof LogSettingsSchema>;

/**
 * The size of a file is the original's; it removed logs after seven days, too. The total keeps a service that prints
 * without end from filling the host's disk.
 */
export const DEFAULT_LOG_SETTINGS: LogSettings = Object.freeze({
  format: 'text',
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

/** Settings of a home: those of the config that was started last. */
export const HomeLogSettingsSchema = v.object({
  /** Total size of the files of all services; null for no limit. */
  keep_total_bytes: v.nullable(amount()),
});
export type HomeLogSettings = v.InferOutput<typeof HomeLogSettingsSchema>;

export const DEFAULT_HOME_LOG_SETTINGS: HomeLogSettings = Object.freeze({ keep_total_bytes: null });
