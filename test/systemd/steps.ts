/** Steps of a suite: tests that share a machine, each of which goes on where the last one ended. */
import type { TestContext } from 'node:test';
import type { Machine } from './machine.ts';

/** State of the machine for people: the unit, its journal, the daemon's log. */
const EXPLAIN = `
systemctl --no-pager --full status monocore
journalctl --no-pager -n 60 -o short-monotonic
tail -n 40 /root/.monocore/log/monocore.*.log /home/*/.monocore/log/monocore.*.log 2>/dev/null | cut -c 1-400
ps -eo pid,ppid,stat,etime,args --forest | grep -v ' \\[' | cut -c 1-160
cat /proc/loadavg /proc/pressure/cpu`;

/** Makes tests of steps. The first one that fails tells the state of the machine; those after it fail at once. */
export function stepsOf(machine: () => Machine): (body: () => Promise<void>) => (t: TestContext) => Promise<void> {
  let failed: string | null = null;
  return (body) => async (t) => {
    if (failed !== null) throw new Error(`not run, since this step failed: ${failed}`);
    try {
      await body();
    } catch (error) {
      failed = t.name;
      const { output } = await machine().run(EXPLAIN);
      throw new Error(`${error instanceof Error ? error.message : error}\n${output}`, { cause: error });
    }
  };
}
