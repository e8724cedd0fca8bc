/** A plain process may leave others behind: with their group they end, without it they hold nobody up. */
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

  it('holds up neither the end of the command nor a stop where it has a session of its own', {
    timeout: 60_000,
  }, async (t) => {
    const host = await run(t, `setsid ${ESCAPED} & echo last; echo words >&2; exit 4`, ESCAPED);
    const { status, exit_code } = await host.ended('parent');
    assert.deepEqual([status, exit_code], ['Stopped', 4]);
    assert.deepEqual([host.lines('parent', 'stdout'), host.lines('parent', 'stderr')], [['last'], ['words']]);
    assert.deepEqual(host.reports.filter((report) => report.includes('outlived')).sort(), [
      'parent: a process that outlived it holds its stderr; what that prints now is lost',
      'parent: a process that outlived it holds its stdout; what that prints now is lost',
    ]);

    const script = `setsid ${ESCAPED} & echo ready; exec sleep 1000`;
    await host.orchestrator.start(configOf([scriptService('stopped', script, { isolation: 'none' })]));
    const reply = await host.orchestrator.stop();
    const stopped = reply.services.find(({ service }) => service.name === 'stopped')!;
    assert.equal(stopped.service.signal, 'SIGTERM');
  });
});
