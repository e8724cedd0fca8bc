/** How the output of a service is written and how long it is kept: `[service.log]` and `[logs]` of the config. */
import * as v from 'valibot';
import { LOG_FORMATS, type LogFormat } from './log-files/formats.ts';

const MIB = 2 ** 20;
const MINUTE_MS = 60e3;
const DAY_MS = 86_400e3;

/** Format of the records: `text`, `json` in pino's shape. */
export const LogFormatSchema = v.picklist(Object.keys(LOG_FORMATS) as LogFormat[]);

/** `gzip`: files that are finished become `<name>.log.gz`. */
export const LogCompressionSchema = v.picklist(['none', 'gzip']);

/** What a full disk does. `block`: the service waits. `drop`: it goes on, and what it prints is dropped and counted. */
export const OnFullSchema = v.picklist(['block', 'drop']);

/** Settings of one service; the same for each of its streams. */
export const LogSettingsSchema = v.object({
  format: LogFormatSchema,
  /** A file is finished at the first newline at or past this many bytes. */
  max_size_bytes: v.number(),
  /** A file is finished when a record comes this long after its first one; null for never. */
  max_age_ms: v.nullable(v.number()),
  /** Finished files of each stream that are kept; null for no limit by number. */
  keep_files: v.nullable(v.number()),
  /** Size of all files of the service together; null for no limit by size. */
  keep_total_bytes: v.nullable(v.number()),
  /** How long a finished file, and any of a service that has ended, is kept after its last record; null for ever. */
  keep_for_ms: v.nullable(v.number()),
  compress: LogCompressionSchema,
  /** From the end of a file to its compression: the time that shippers have to read it as it is. */
  compress_delay_ms: v.number(),
  /** A longer line becomes several records. */
  max_line_bytes: v.number(),
  on_full: OnFullSchema,
});
export type LogSettings = v.InferOutput<typeof LogSettingsSchema>;

/** Size of a file as in the seed; seven days are the age at which monocore's own policy removes logs. */
export const DEFAULT_LOG_SETTINGS: LogSettings = Object.freeze({
  format: 'text',
  max_size_bytes: 10 * MIB,
  max_age_ms: null,
  keep_files: null,
  keep_total_bytes: null,
  keep_for_ms: 7 * DAY_MS,
  compress: 'none',
  compress_delay_ms: MINUTE_MS,
  max_line_bytes: MIB / 4,
  on_full: 'block',
});

/** Settings of a whole home. They are those of the config that was started last. */
export const HomeLogSettingsSchema = v.object({
  /** Size of all files of all services together; null for no limit. */
  keep_total_bytes: v.nullable(v.number()),
});
export type HomeLogSettings = v.InferOutput<typeof HomeLogSettingsSchema>;

export const DEFAULT_HOME_LOG_SETTINGS: HomeLogSettings = Object.freeze({ keep_total_bytes: null });
