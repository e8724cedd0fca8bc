/** A home that was damaged while no daemon ran: nothing runs twice, nothing is forgotten, and the rest goes on. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { it } from 'node:test';
import type { Service } from '../../../src/protocol/service.ts';
import { DEFAULT_RESTART_SETTINGS } from '../../../src/protocol/supervision.ts';
import { HomePaths } from '../../../src/state/paths.ts';
import { eventually } from '../../helpers/eventually.ts';
import { FAKE_BACKENDS } from '../../helpers/fakes/fake-machine/backend.ts';
import { configOf, scriptService } from '../../helpers/fakes/services.ts';
import { findProcesses } from '../../helpers/processes/command-lines.ts';
import { makeRuntimeHome, openTestRuntime } from '../../helpers/runtime.ts';
import { defer } from '../../helpers/temp.ts';

/** Found by its arguments, which no other run of the tests has. */
const MARK = `9876.3${process.pid}`;

/** Processes of a service. */
function countOf(name: string): number {
  return findProcesses(`sleep ${MARK} ${name} `).filter(({ commandLine }) => commandLine.startsWith('sleep')).length;
}

function sleeper(name: string, overrides: Partial<Service> = {}): Service {
  // The second number is the name: a program of the host that takes any number of them.
  return scriptService(name, `exec sleep ${MARK} ${name} 1`, { isolation: 'none', ...overrides });
}

interface Damage {
  readonly name: string;
  readonly what: string;
  readonly damage: (paths: HomePaths, name: string) => void;
  readonly says: RegExp;
}

const DAMAGES: readonly Damage[] = [
  {
    name: '1',
    what: 'one of its FIFOs is missing',
    damage: (paths, name) => rmSync(paths.vm(name).fifo('stdout')),
    says: /its process cannot be adopted: a stream cannot be opened: .*stdout\.fifo: .* \(ENOENT\)/,
  },
  {
    name: '2',
    what: 'a file is in the place of a FIFO',
    damage(paths, name) {
      rmSync(paths.vm(name).fifo('stderr'));
      writeFileSync(paths.vm(name).fifo('stderr'), 'text');
    },
    says: /its process cannot be adopted: /,
  },
  {
    name: '3',
    what: 'its state file is empty',
    damage: (paths, name) => truncateSync(paths.stateFile(name)),
    says: /3\.json is not a state file of this version/,
  },
  {
    name: '4',
    what: 'half of its state file is left, and nothing of its folder',
    damage(paths, name) {
      truncateSync(paths.stateFile(name), 100);
      rmSync(paths.vm(name).dir, { recursive: true });
    },
    says: /4\.json is not a state file of this version/,
  },
  {
    name: '5',
    what: 'its state file is that of another service',
    damage: (paths, name) => writeFileSync(paths.stateFile(name), readFileSync(paths.stateFile('0'))),
    says: /5\.json has the state of /,
  },
  {
    name: '6',
    what: 'its state file is missing',
    damage: (paths, name) => rmSync(paths.stateFile(name)),
    says: /run\/6 has no state file beside it/,
  },
];

for (const isolation of ['none', 'vm'] as const) {
  it(`damaged services of isolation ${isolation} are ended and shown as failed`, {
    timeout: 120_000,
  }, async (t) => {
    const home = makeRuntimeHome();
    const paths = new HomePaths(home);
    const first = await openTestRuntime(home, { backends: FAKE_BACKENDS });
    const services = ['0', ...DAMAGES.map(({ name }) => name)].map((name) => sleeper(name, { isolation }));
    await first.orchestrator.start(configOf(services));
    await eventually('all commands', () => services.every(({ name }) => countOf(name) === 1));
    await first.runtime.close();
    for (const { name, damage } of DAMAGES) damage(paths, name);
    const next = await openTestRuntime(home, { backends: FAKE_BACKENDS });
    defer(t, () => next.close());
    const rows = new Map(next.orchestrator.services().map((row) => [row.name, row]));
    assert.equal(rows.get('0')?.status, 'Started');
    assert.equal(countOf('0'), 1);
    for (const { name, what, says } of DAMAGES) {
      const row = rows.get(name);
      assert.equal(row?.status, 'Failed', what);
      assert.match(row.error!, says, what);
      assert.equal(countOf(name), 0, what);
    }
    // The runtime of an earlier process would not hold on to the control ports.
    if (isolation === 'none') {
      const reply = await next.orchestrator.start(configOf(services));
      assert.deepEqual(
        reply.services.map(({ outcome, error }) => error ?? outcome),
        ['unchanged', ...DAMAGES.map(() => 'changed')],
      );
      await eventually('one process of each', () => services.every(({ name }) => countOf(name) === 1));
    }
    await next.orchestrator.remove();
    assert.deepEqual([...readdirSync(paths.runDir), ...readdirSync(paths.endedDir)], []);
    assert.ok(services.every(({ name }) => countOf(name) === 0));
  });
}

it('a command whose shim was killed and whose folder was deleted does not run beside its successor', {
  timeout: 60_000,
}, async (t) => {
  const home = makeRuntimeHome();
  const paths = new HomePaths(home);
  const first = await openTestRuntime(home);
  const restart = { ...DEFAULT_RESTART_SETTINGS, when: 'always' as const };
  await first.orchestrator.start(configOf([sleeper('7', { restart })]));
  await eventually('its command', () => countOf('7') === 1);
  await first.runtime.close();
  process.kill(JSON.parse(readFileSync(paths.stateFile('7'), 'utf8')).process.pid, 'SIGKILL');
  rmSync(paths.vm('7').dir, { recursive: true });
  const next = await openTestRuntime(home);
  defer(t, () => next.close());
  await eventually('its successor', () => countOf('7') > 0);
  assert.equal(countOf('7'), 1);
});

it('damaged files of ended services are left out and named, and a wrong time is one of them', {
  timeout: 60_000,
}, async (t) => {
  const home = makeRuntimeHome();
  const paths = new HomePaths(home);
  const first = await openTestRuntime(home);
  const services = ['a', 'b', 'c'].map((name) => scriptService(name, 'exit 3', { isolation: 'none' }));
  await first.orchestrator.start(configOf(services));
  // Shown as ended before that is saved; a runtime that closes in between leaves the saving to the next one.
  const areSaved = () => readdirSync(paths.endedDir).length === 3 && readdirSync(paths.runDir).length === 0;
  await eventually('all ends to be saved', areSaved);
  await first.runtime.close();
  const edit = (name: string, changes: object): void => {
    const path = paths.endedFile(name);
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...changes }));
  };
  edit('a', { stopped_at: 'nonsense' });
  edit('b', { started_at: '2026-13-45' });
  const next = await openTestRuntime(home);
  defer(t, () => next.close());
  assert.deepEqual(
    next.orchestrator.services().map(({ name }) => name),
    ['c'],
  );
  const said = next.reports.filter((report) => report.startsWith('a state file is ignored: ')).sort();
  assert.match(said[0]!, /a\.json is not a state file of this version: stopped_at: it is not a time/);
  assert.match(said[1]!, /b\.json is not a state file of this version: started_at: it is not a time/);
});
