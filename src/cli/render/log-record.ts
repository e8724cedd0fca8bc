/** Colours of log records on a terminal. */
import { parseTextHead, type TextLevel } from '../../protocol/log-record.ts';
import type { Colors } from './terminal-text.ts';

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

/** Colours the head of one record; what is not in the text format comes back as it is. Both are binary strings. */
export function decorateRecord(record: string, colors: Colors): string {
  const head = parseTextHead(record);
  if (!head) return record;
  const { time, level, isContinued, service, length } = head;
  const plus = isContinued ? '+' : '';
  return `${colors.dim(time)} ${paintLevel(level, colors)}${plus} ${paintName(service, colors)} ${record.slice(length)}`;
}

function paintLevel(level: TextLevel, colors: Colors): string {
  const paint = { INFO: String, ERROR: colors.red, WARN: colors.yellow, DEBUG: colors.dim };
  return paint[level](level);
}

/** The same colour for the same name in every run. */
function paintName(name: string, colors: Colors): string {
  let hash = 0;
  for (let index = 0; index < name.length; index++) hash = (hash * 31 + name.charCodeAt(index)) >>> 0;
  return colors[NAME_COLORS[hash % NAME_COLORS.length]!](`[${name}]`);
}
