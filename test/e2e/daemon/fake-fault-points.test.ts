/** The daemon dies between every two steps of a start and of a stop of a fake machine; the next one must make the best of it. */
import { test } from 'node:test';
import { AT_ONCE, dieAtEach } from '../../helpers/fault-points.ts';

test('a daemon that dies at any step of a fake machine is recovered from', { concurrency: AT_ONCE }, (t) =>
  dieAtEach(t, 'fake', () => true),
);
