/**
 * Log records for a terminal. Records are bytes of any encoding; they come here as "binary strings" with one character
 * per byte (Node's `latin1`), so that nothing of them is lost.
 */
import type { Colors } from '../terminal.ts';

/** A record in text format: time, level, name of the service, line. */
const RECORD = /^(\d{4}-\S+Z) (INFO|ERROR) \[([^\]]*)\]/;

const NAME_COLORS = [
  'cyan',
  'magenta',
  'blue',
  'green',
  'yellow',
  'cyanBright',
  'magentaBright',
  'blueBright',
] as const;

/** Colours the head of one record; what is not in the text format (JSON records) comes back as it is. */
export function decorateRecord(record: string, colors: Colors): string {
  const match = RECORD.exec(record);
  if (!match) return record;
  const [head, time, level, name] = match as unknown as [string, string, string, string];
  const rest = record.slice(head.length);
  const paintedLevel = level === 'ERROR' ? colors.red(level) : level;
  return `${colors.dim(time)} ${paintedLevel} ${paintName(name, colors)}${rest}`;
}

/** The same colour for the same name in every run. */
function paintName(name: string, colors: Colors): string {
  let hash = 0;
  for (let index = 0; index < name.length; index++) hash = (hash * 31 + name.charCodeAt(index)) >>> 0;
  return colors[NAME_COLORS[hash % NAME_COLORS.length]!](`[${name}]`);
}
