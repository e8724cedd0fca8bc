/** Test of a record against a query, as a function. */
import { recordText } from '../../../src/protocol/log-files/formats.ts';
import { compilePattern, type LogFilter } from '../../../src/protocol/log-files/queries.ts';
import type { RecordTest } from '../../log-files/backward-scan.ts';
import { TimeRange } from '../../log-files/time-range.ts';

/** Makes the test of a filter. It takes as long as the pattern does. Throws `SyntaxError` for an invalid pattern. */
export function makeRecordTest(filter: LogFilter): RecordTest {
  const range = new TimeRange(filter);
  const pattern = filter.grep && compilePattern(filter.grep);
  return (bytes, from, to, time) => range.has(time) && (pattern === null || pattern.test(recordText(bytes, from, to)));
}
