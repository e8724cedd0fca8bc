/** What a record of a log file tells of itself, see `workers/logs/framer.ts` for the formats. */
import { isoTime } from '../clock.ts';

const JSON_TIME = /^\{"level":\d+,"time":(\d{1,15}),/;
const TEXT_TIME_CHARS = 24;

/** When a record was written, RFC 3339; any text for what is no record. */
export function recordTimeOf(record: string): string {
  const [, epochMs] = JSON_TIME.exec(record) ?? [];
  return epochMs === undefined ? record.slice(0, TEXT_TIME_CHARS) : isoTime(Number(epochMs));
}
