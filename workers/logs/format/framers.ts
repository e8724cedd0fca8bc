/** Selects the framer for a format. */
import { LOG_FORMATS, type LogFormat } from '../../../src/protocol/log-files/formats.ts';
import { BufferingFramer } from './buffering-framer.ts';
import type { Framer, FramerOptions } from './framer.ts';
import { StreamingFramer } from './streaming-framer.ts';

/** Creates the framer for a stream. */
export function createFramer(name: LogFormat, options: Omit<FramerOptions, 'format'>): Framer {
  const format = LOG_FORMATS[name];
  const { body } = format;
  return body ? new BufferingFramer({ ...options, format }, body) : new StreamingFramer({ ...options, format });
}
