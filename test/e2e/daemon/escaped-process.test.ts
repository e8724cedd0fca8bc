/** A plain process may leave others behind: they end with it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '../../helpers/eventually.ts';
import { configOf, scriptService } from '../../helpers/fakes/services.ts';
import { findProcesses } from '../../helpers/processes/command-lines.ts';
import { openTestRuntime, type TestRuntime } from '../../helpers/runtime.ts';
import { defer } from '../../helpers/temp.ts';

/** Found by their arguments, which no other run of the tests has. */
const IN_GROUP = `sleep 98765.1${process.pid}`;
const ESCAPED = `sleep 98765.2${process.pid}`;

describe('what a plain process leaves running', () => {
  async function run(t: Parameters<typeof defer>[0], script: string, mention: string): Promise<TestRuntime> {
    const host = await openTestRuntime();
    defer(t, () => host.close());
    defer(t, () => {
      for (const { pid } of findProcesses(mention)) process.kill(pid, 'SIGKILL');
    });
    const service = scriptService('parent', script, { isolation: 'none', stop_timeout_ms: 100 });
    await host.orchestrator.start(configOf([service]));
    return host;
  }

  it('ends with its group, when the command has ended and when it is stopped', { timeout: 30_000 }, async (t) => {
    const host = await run(t, `${IN_GROUP} & echo ready`, IN_GROUP);
    await host.ended('parent');
    await eventually('the grandchild to end', () => findProcesses(IN_GROUP).length === 0);

    const script = `trap "" TERM; ${IN_GROUP} & echo ready; wait; while :; do sleep 1; done`;
    await host.orchestrator.start(
      configOf([scriptService('stubborn', script, { isolation: 'none', stop_timeout_ms: 100 })]),
    );
    await eventually('the grandchild', () => findProcesses(IN_GROUP).length > 0);
    await host.orchestrator.stop();
    await eventually('the grandchild to end', () => findProcesses(IN_GROUP).length === 0);
  });

  it('ends with it in a session of its own, too, and holds nothing up', { timeout: 60_000 }, async (t) => {
    const host = await run(t, `setsid ${ESCAPED} & echo last; echo words >&2; exit 4`, ESCAPED);
    const { status, exit_code } = await host.ended('parent');
    assert.deepEqual([status, exit_code], ['Stopped', 4]);
    assert.deepEqual([host.lines('parent', 'stdout'), host.lines('parent', 'stderr')], [['last'], ['words']]);
    await eventually('the grandchild to end', () => findProcesses(ESCAPED).length === 0);

    // A daemon, as init systems start it: its parents have ended, and so has the stream that it got.
    const daemon = `setsid sh -c '${ESCAPED} >/dev/null 2>&1 </dev/null & exit 0'`;
    for (const script of [`${daemon}; exec sleep 1000`, `trap "" TERM; ${daemon}; while :; do sleep 1; done`]) {
      const stopped = scriptService('stopped', script, { isolation: 'none', stop_timeout_ms: 100 });
      await host.orchestrator.start(configOf([stopped]));
      await eventually('the grandchild', () => findProcesses(ESCAPED).length > 0);
      await host.orchestrator.stop();
      await eventually('the grandchild to end', () => findProcesses(ESCAPED).length === 0);
    }
  });
});
