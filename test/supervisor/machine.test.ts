import assert from 'node:assert/strict';
import test from 'node:test';
import { type Ignored, MACHINE, type Step, transition } from '../../src/supervisor/machine.ts';
import {
  type Effect,
  type MachineEvent,
  type MachineEventType,
  NO_RESTARTS,
  nameState,
  type Rules,
  type ServiceState,
  STOP_PHASES,
  type Stopping,
  type VmState,
} from '../../src/supervisor/states.ts';
import { healthCheck } from '../helpers/fakes/health-check.ts';
import { scriptService } from '../helpers/fakes/services.ts';
import { failed, serviceState, started, stopped, stopping } from '../helpers/fakes/states.ts';

/**
 * Expected effects, a line per pair: state, event, next state, effects in order. A pair without a line is ignored: the
 * state stays, and there is no effect. `Stopping/*` is each phase without a line of its own for the event; `*` as the
 * next state is the same phase.
 */
const EXPECTED = `
Unstarted           | start           | Starting/preparing   | LAUNCH
Unstarted           | recover         | Starting/preparing   | LAUNCH

Stopped             | start           | Starting/preparing   | LAUNCH
Stopped             | stop            | Stopped              | persist
Stopped             | recover         | Starting/preparing   | LAUNCH
Stopped             | restart-due     | Starting/preparing   | LAUNCH
Stopped             | restart-scheduled | Starting/waiting   | set-timer restart-due 1000

Failed              | start           | Starting/preparing   | LAUNCH
Failed              | stop            | Failed               | persist
Failed              | recover         | Starting/preparing   | LAUNCH
Failed              | restart-due     | Starting/preparing   | LAUNCH
Failed              | restart-scheduled | Starting/waiting   | set-timer restart-due 1000

Starting/waiting    | start           | Starting/preparing   | LAUNCH
Starting/waiting    | stop            | Stopped              | cancel-timer restart-due, persist
Starting/waiting    | suspend         | Stopped              | cancel-timer restart-due
Starting/waiting    | restart-due     | Starting/preparing   | LAUNCH

Starting/preparing  | stop            | Stopping/cancelling  | DOWN, cancel-launch
Starting/preparing  | suspend         | Stopping/cancelling  | DOWN, cancel-launch
Starting/preparing  | image-ready     | Starting/preparing   | persist, set-timer start-timeout 120000
Starting/preparing  | launched        | Starting/booting     | persist-soon
Starting/preparing  | launch-failed   | Failed               | CLEAN-UP
Starting/preparing  | job-started     | Started              | cancel-timer start-timeout, persist, watch-metrics 7, probe
Starting/preparing  | job-failed      | Stopping/failing     | DOWN, set-timer stop-timeout 10000
Starting/preparing  | job-exited      | Stopping/draining    | DOWN, set-timer stop-timeout 60000, drain
Starting/preparing  | process-ended   | Stopping/releasing   | DOWN
Starting/preparing  | start-timeout   | Stopping/killing     | DOWN, cancel-launch

Starting/booting    | stop            | Stopping/terminating | DOWN, set-timer stop-timeout 2000, kill SIGTERM
Starting/booting    | suspend         | Stopping/terminating | DOWN, set-timer stop-timeout 2000, kill SIGTERM
Starting/booting    | job-started     | Started              | cancel-timer start-timeout, persist, watch-metrics 7, probe
Starting/booting    | job-failed      | Stopping/failing     | DOWN, set-timer stop-timeout 10000
Starting/booting    | job-exited      | Stopping/draining    | DOWN, set-timer stop-timeout 60000, drain
Starting/booting    | process-ended   | Stopping/releasing   | DOWN
Starting/booting    | start-timeout   | Stopping/killing     | DOWN, examine, set-timer stop-timeout 2000, kill SIGKILL

Started             | stop            | Stopping/asking      | DOWN, set-timer stop-timeout 5000, signal-job SIGTERM
Started             | suspend         | Stopping/asking      | DOWN, set-timer stop-timeout 5000, signal-job SIGTERM
Started             | job-exited      | Stopping/draining    | DOWN, unwatch-metrics, set-timer stop-timeout 60000, drain
Started             | process-ended   | Stopping/releasing   | DOWN, unwatch-metrics
Started             | probed ok       | Started              | set-timer probe-due 10000
Started             | probed bad      | Stopping/asking      | DOWN, set-timer stop-timeout 5000, signal-job SIGTERM
Started             | probe-due       | Started              | probe

Stopping/*          | start           | Stopping/*           | persist
Stopping/*          | recover         | Stopping/*           | persist
Stopping/*          | stop            | Stopping/*           | persist
Stopping/*          | suspend         | Stopping/*           | persist
Stopping/*          | process-ended   | Stopping/*           | unwatch-metrics
Stopping/*          | stop-timeout    | Stopping/terminating | persist, set-timer stop-timeout 2000, kill SIGTERM
Stopping/cancelling | launched        | Stopping/killing     | persist, set-timer stop-timeout 2000, kill SIGKILL
Stopping/cancelling | launch-failed   | Stopped              | CLEAN-UP
Stopping/cancelling | stop-timeout    | Stopping/cancelling  |
Stopping/asking     | stop            | Stopping/asking      | persist, set-timer stop-timeout 5000
Stopping/asking     | suspend         | Stopping/asking      | persist, set-timer stop-timeout 5000
Stopping/asking     | job-exited      | Stopping/draining    | set-timer stop-timeout 60000, drain
Stopping/failing    | job-exited      | Stopping/draining    | set-timer stop-timeout 60000, drain
Stopping/draining   | drained         | Stopping/releasing   | set-timer stop-timeout 10000, release
Stopping/terminating| stop-timeout    | Stopping/killing     | persist, set-timer stop-timeout 2000, kill SIGKILL
Stopping/killing    | stop-timeout    | Stopping/killing     | persist, set-timer stop-timeout 2000, kill SIGKILL
Stopping/killing    | launched        | Stopping/killing     | persist, set-timer stop-timeout 2000, kill SIGKILL
Stopping/killing    | launch-failed   | Stopped              | CLEAN-UP
Stopping/inspecting | inspected       | Stopped              | CLEAN-UP
Stopping/inspecting | process-ended   | Stopping/inspecting  |
Stopping/inspecting | stop-timeout    | Stopping/inspecting  |
`;
const SHORTHANDS: Readonly<Record<string, string>> = {
  LAUNCH: 'cancel-timer restart-due, persist, set-timer start-timeout 120000, launch',
  DOWN: 'cancel-timer start-timeout, cancel-timer probe-due, end-probes, persist',
  'CLEAN-UP':
    'cancel-timer start-timeout, cancel-timer stop-timeout, cancel-timer probe-due, cancel-timer restart-due, end-probes, unwatch-metrics, conclude',
};
const CLEAN_UP = SHORTHANDS['CLEAN-UP']!;

const NOW = { ms: 1_000_000, ageMs: 0, jitter: 0.5, isLogStalled: false };
const STARTED_AT_MS = 900_000;
const EXIT = { code: 3, signal: null };
const KILLED = { code: 137, signal: 'SIGKILL' };

/** Rules of a service that is restarted for each failed probe, never for its end. */
const RULES: Rules = scriptService('web', 'true', {
  stop_signal: 'SIGTERM',
  stop_timeout_ms: 5000,
  on_unhealthy: 'restart',
  healthcheck: healthCheck(),
  restart: { when: 'no', max_restarts: null, reset_ms: 60_000, max_memory_bytes: 1000 },
});

const STATES: readonly VmState[] = [
  { status: 'Unstarted' },
  stopped(),
  failed(),
  { status: 'Starting', phase: 'waiting', pid: null, resumeAtMs: 0, last: stopped() },
  { status: 'Starting', phase: 'preparing', pid: null },
  { status: 'Starting', phase: 'booting', pid: 7 },
  started({ health: { verdict: 'starting', failures: 0, detail: null } }),
  ...STOP_PHASES.map((phase) => stopping(phase)),
];

const EVENTS: readonly MachineEvent[] = [
  { type: 'start' },
  { type: 'stop', timeoutMs: 5000 },
  { type: 'suspend', timeoutMs: 5000 },
  { type: 'recover', reason: 'a new daemon' },
  { type: 'restart-scheduled', delayMs: 1000 },
  { type: 'image-ready', digest: 'sha256:1' },
  { type: 'launched', pid: 7 },
  { type: 'launch-failed', error: 'no' },
  { type: 'job-started', pid: 7 },
  { type: 'job-failed', error: 'no' },
  { type: 'job-exited', exit: EXIT },
  { type: 'drained' },
  { type: 'process-ended', exit: EXIT },
  { type: 'streams-ended' },
  { type: 'inspected', lastLines: [], panic: null },
  { type: 'probed', ok: true, detail: 'fine' },
  { type: 'probed', ok: false, detail: 'bad' },
  { type: 'memory-sampled', bytes: 2000 },
  { type: 'log-stalled' },
  { type: 'start-timeout' },
  { type: 'stop-timeout' },
  { type: 'probe-due' },
  { type: 'restart-due' },
];

function nameEvent(event: MachineEvent): string {
  return event.type === 'probed' ? `probed ${event.ok ? 'ok' : 'bad'}` : event.type;
}

function nameEffects(effects: readonly Effect[]): string {
  return effects.map((effect) => Object.values(effect).join(' ')).join(', ');
}

const rows = new Map(
  EXPECTED.split('\n')
    .filter(Boolean)
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map(([state, event, next, effects]) => [`${state} | ${event}`, { next, effects }]),
);

/** Expected name of the next state, and its effects. */
function expected(state: VmState, event: MachineEvent): { next: string; effects: string } {
  const own = nameState(state);
  const row =
    rows.get(`${own} | ${nameEvent(event)}`) ?? rows.get(`${own.replace(/\/.*/, '/*')} | ${nameEvent(event)}`);
  if (!row) return { next: own, effects: '' };
  const effects = row.effects!.replace(/[A-Z-]{4,}(?=,|$)/g, (word) => SHORTHANDS[word] ?? word);
  return { next: row.next === 'Stopping/*' ? own : row.next!, effects };
}

for (const state of STATES) {
  test(`${nameState(state)} answers each event with the expected state and effects`, () => {
    for (const event of EVENTS) {
      const { state: next, effects } = transition(serviceState(state), event, NOW, RULES);
      assert.deepEqual(
        { next: nameState(next.actual), effects: nameEffects(effects) },
        expected(state, event),
        `${nameState(state)} | ${nameEvent(event)}`,
      );
    }
  });
}

test('every expectation is about a state and an event that exist', () => {
  const states = new Set([...STATES.map(nameState), 'Stopping/*']);
  const events = new Set(EVENTS.map(nameEvent));
  for (const key of rows.keys()) {
    const [state, event] = key.split(' | ');
    assert.ok(states.has(state!) && events.has(event!), key);
  }
});

/** Variants of each state that lead somewhere else. */
const VARIANTS: readonly VmState[] = [
  ...STATES,
  { status: 'Starting', phase: 'waiting', pid: null, resumeAtMs: 0, last: failed() },
  started({ overMemorySamples: 2 }),
  ...STOP_PHASES.flatMap((phase) =>
    [false, true].flatMap((streamsEnded) =>
      [null, { reason: 'vm-crash', message: 'known' } as const].flatMap((failure) =>
        [7, null].map((pid) => stopping(phase, { failure, pid, streamsEnded, processEnded: !streamsEnded })),
      ),
    ),
  ),
];

for (const [name, row] of Object.entries(MACHINE)) {
  test(`the table of ${name} names the states that each event leads to, and ignores the others`, () => {
    for (const [type, cell] of Object.entries(row) as [MachineEventType, Step | Ignored][]) {
      const reached = new Set<string>();
      for (const state of VARIANTS.filter((variant) => nameState(variant) === name)) {
        for (const event of EVENTS.filter((candidate) => candidate.type === type)) {
          // Before the answer to a launch there is no process.
          if (type === 'launch-failed' && 'to' in cell && 'pid' in state && state.pid !== null) continue;
          const before = serviceState(state);
          const { state: after, effects } = transition(before, event, NOW, RULES);
          const next = nameState(after.actual);
          reached.add(next === name ? 'same' : next);
          if (!('ignored' in cell)) continue;
          assert.deepEqual(effects, [], `${name} | ${type}`);
          assert.deepEqual({ ...after, desired: before.desired }, before, `${name} | ${type}`);
        }
      }
      const named = 'ignored' in cell ? ['same'] : cell.to.map((next) => (next === name ? 'same' : next));
      assert.deepEqual(reached, new Set(named), `${name} | ${type}`);
    }
  });
}

test('`desired` is the last wish of the user, whatever the service does', () => {
  for (const state of STATES) {
    for (const event of EVENTS) {
      const wanted = { start: 'up', recover: 'up', stop: 'down' } as const;
      for (const desired of ['up', 'down'] as const) {
        const { state: next } = transition(serviceState(state, { desired }), event, NOW, RULES);
        const expected = event.type in wanted ? wanted[event.type as keyof typeof wanted] : desired;
        assert.equal(next.desired, expected, `${nameState(state)} | ${nameEvent(event)}`);
      }
    }
  }
});

/** State after those events. */
function follow(from: VmState, ...events: readonly MachineEvent[]): VmState {
  return events.reduce<ServiceState>((state, event) => transition(state, event, NOW, RULES).state, serviceState(from))
    .actual;
}

const INSPECTED: MachineEvent = { type: 'inspected', lastLines: [], panic: null };

for (const phase of STOP_PHASES.slice(0, -1)) {
  test(`Stopping/${phase} ends when both the process and the streams have ended, in either order`, () => {
    const failure = { reason: 'vm-crash', message: 'known' } as const;
    const orders: [Stopping, MachineEvent][] = [
      [stopping(phase, { exit: EXIT, processEnded: true, pid: null }), { type: 'streams-ended' }],
      [
        stopping(phase, { exit: EXIT, streamsEnded: true, pid: null, failure }),
        { type: 'process-ended', exit: KILLED },
      ],
    ];
    for (const [state, event] of orders) {
      const { state: end, effects } = transition(serviceState(state), event, NOW, RULES);
      assert.equal(end.actual.status, state.failure === null ? 'Stopped' : 'Failed');
      assert.ok(nameEffects(effects).endsWith(CLEAN_UP));
    }
  });

  test(`Stopping/${phase} waits for the streams without signalling a process that has ended`, () => {
    const state = serviceState(stopping(phase, { processEnded: true }));
    for (const event of [{ type: 'stop-timeout' }, { type: 'drained' }] as const) {
      assert.deepEqual(transition(state, event, NOW, RULES), { state, effects: [] });
    }
  });

  test(`Stopping/${phase} starts again after a start meanwhile, unless a stop withdraws it`, () => {
    const ended = serviceState(stopping(phase, { processEnded: true }));
    const asked = transition(ended, { type: 'start' }, NOW, RULES).state;
    const { state, effects } = transition(asked, { type: 'streams-ended' }, NOW, RULES);
    assert.match(state.actual.status, /^(Stopped|Failed)$/);
    assert.equal(nameEffects(effects), `${CLEAN_UP}, schedule-restart 0`);
    const withdrawn = transition(asked, { type: 'stop', timeoutMs: 0 }, NOW, RULES).state;
    assert.equal(nameEffects(transition(withdrawn, { type: 'streams-ended' }, NOW, RULES).effects), CLEAN_UP);
  });
}

test('a stop without time cuts the graceful phases short, a stop with time only the command', () => {
  for (const phase of ['asking', 'failing', 'draining', 'releasing'] as const) {
    const { effects } = transition(serviceState(stopping(phase)), { type: 'stop', timeoutMs: 0 }, NOW, RULES);
    assert.equal(nameEffects(effects), 'persist, set-timer stop-timeout 0, hurry', phase);
  }
});

test('a disk that takes no output gets little time once a user waits for the stop, and all the time before', () => {
  const stalled = { ...NOW, isLogStalled: true };
  const effectsOf = (state: Stopping, event: MachineEvent): string =>
    nameEffects(transition(serviceState(state), event, stalled, RULES).effects);
  const exited: MachineEvent = { type: 'job-exited', exit: EXIT };
  const ended: MachineEvent = { type: 'process-ended', exit: EXIT };
  const waited = (phase: Stopping['phase'], more: Partial<Stopping> = {}): Stopping =>
    stopping(phase, { afterStop: 'stay', ...more });
  const shortened = 'set-timer stop-timeout 5000, hurry';

  assert.equal(effectsOf(waited('asking'), { type: 'log-stalled' }), '');
  assert.equal(effectsOf(waited('asking'), exited), `set-timer stop-timeout 60000, drain, ${shortened}`);
  assert.equal(effectsOf(waited('draining'), { type: 'log-stalled' }), shortened);
  assert.equal(effectsOf(waited('draining', { isHurried: true }), { type: 'log-stalled' }), '');
  assert.equal(effectsOf(waited('terminating'), ended), 'unwatch-metrics, hurry');
  assert.equal(effectsOf(waited('draining', { processEnded: true }), { type: 'log-stalled' }), 'hurry');

  const alone = stopping('draining', { afterStop: 'decide' });
  assert.equal(effectsOf(alone, { type: 'log-stalled' }), '');
  assert.equal(effectsOf(alone, ended), 'unwatch-metrics');
  for (const type of ['stop', 'suspend'] as const) {
    assert.equal(effectsOf(alone, { type, timeoutMs: 1000 }), `persist, ${shortened}`);
  }
});

test('the command is asked with the stop signal of its service', () => {
  for (const signal of ['SIGINT', null] as const) {
    const rules: Rules = { ...RULES, stop_signal: signal };
    const { effects } = transition(serviceState(started()), { type: 'stop', timeoutMs: 5000 }, NOW, rules);
    assert.deepEqual(effects.at(-1), { type: 'signal-job', signal });
  }
});

test('the exit is that of the command, however the VM ends afterwards', () => {
  const end = follow(
    started({ startedAtMs: STARTED_AT_MS }),
    { type: 'job-exited', exit: EXIT },
    { type: 'stop-timeout' },
    { type: 'stop-timeout' },
    { type: 'process-ended', exit: KILLED },
    { type: 'streams-ended' },
    INSPECTED,
  );
  const times = { startedAtMs: STARTED_AT_MS, stoppedAtMs: NOW.ms };
  assert.deepEqual(end, stopped({ exit: EXIT, endedBy: 'command', ...times }));
});

test('a command that dies with its VM has the signal that killed both as its exit', () => {
  const end = follow(
    stopping('asking', { startedAtMs: STARTED_AT_MS }),
    { type: 'stop-timeout' },
    { type: 'stop-timeout' },
    { type: 'process-ended', exit: KILLED },
    { type: 'streams-ended' },
    INSPECTED,
  );
  const times = { startedAtMs: STARTED_AT_MS, stoppedAtMs: NOW.ms };
  assert.deepEqual(end, stopped({ reason: 'stopped', exit: KILLED, endedBy: 'vm_sigkill', ...times }));
});

test('the step of the stop that ended a run is kept', () => {
  const exited: MachineEvent = { type: 'job-exited', exit: EXIT };
  const gone: MachineEvent[] = [{ type: 'process-ended', exit: { code: 0, signal: null } }, { type: 'streams-ended' }];
  const timeout: MachineEvent = { type: 'stop-timeout' };
  const stop: MachineEvent = { type: 'stop', timeoutMs: 5000 };
  const cases: [string, MachineEvent[]][] = [
    ['command', [exited, ...gone]],
    ['command', [exited, stop, timeout, timeout, ...gone]],
    ['stop_signal', [stop, exited, ...gone]],
    ['stop_signal', [stop, exited, { type: 'drained' }, timeout, ...gone]],
    ['vm_sigterm', [stop, timeout, ...gone]],
    ['vm_sigterm', [stop, timeout, exited, timeout, ...gone]],
    ['vm_sigkill', [stop, timeout, timeout, ...gone]],
    ['vm_ended', [...gone, INSPECTED]],
  ];
  for (const [endedBy, events] of cases) {
    const end = follow(started(), ...events);
    assert.equal('endedBy' in end && end.endedBy, endedBy, events.map(nameEvent).join(', '));
  }
});

test('the exit is unknown where nobody saw it: the VM process has an exit status of its own', () => {
  const cleanQemuExit: MachineEvent = { type: 'process-ended', exit: { code: 0, signal: null } };
  const booting: VmState = { status: 'Starting', phase: 'booting', pid: 7 };
  const stop: MachineEvent = { type: 'stop', timeoutMs: 5000 };
  for (const state of [
    follow(stopping('asking'), { type: 'stop-timeout' }, cleanQemuExit),
    follow(booting, stop, cleanQemuExit),
    follow(booting, stop, { type: 'process-ended', exit: KILLED }),
  ]) {
    const end = follow(state, { type: 'streams-ended' });
    assert.ok(end.status === 'Stopped');
    assert.deepEqual(end.exit, { code: null, signal: null });
  }
});

test('a VM that ends unexpectedly is a failure with its exit and its last console lines', () => {
  const crash: MachineEvent = { type: 'process-ended', exit: KILLED };
  const cases: [VmState, RegExp][] = [
    [{ status: 'Starting', phase: 'booting', pid: 7 }, /ended by SIGKILL before the command ran/],
    [started(), /ended by SIGKILL unexpectedly/],
    [stopping('asking'), /ended by SIGKILL unexpectedly/],
    [stopping('draining', { exit: EXIT }), /ended by SIGKILL unexpectedly/],
  ];
  for (const [state, message] of cases) {
    const over = follow(state, crash, { type: 'streams-ended' });
    assert.equal(nameState(over), 'Stopping/inspecting');
    const end = follow(over, { type: 'inspected', lastLines: ['qemu: hm'], panic: null });
    assert.ok(end.status === 'Failed', nameState(state));
    assert.match(end.error, message);
    assert.deepEqual([end.reason, end.lastLines], ['vm-crash', ['qemu: hm']]);
  }
  const ended: MachineEvent = { type: 'process-ended', exit: { code: 1, signal: null } };
  const withStatus = follow(started(), ended, { type: 'streams-ended' }, INSPECTED);
  assert.match(withStatus.status === 'Failed' ? withStatus.error : '', /with status 1 unexpectedly/);
});

test('a panic of the guest explains a VM that ended unexpectedly, but no other failure', () => {
  const panic: MachineEvent = { type: 'inspected', lastLines: [], panic: 'Kernel panic - not syncing: sysrq' };
  const gone: MachineEvent[] = [{ type: 'process-ended', exit: { code: 0, signal: null } }, { type: 'streams-ended' }];
  const crashed = follow(started(), ...gone, panic);
  assert.ok(crashed.status === 'Failed');
  assert.equal(crashed.reason, 'guest-panic');
  assert.match(crashed.error, /the guest's kernel panicked: Kernel panic - not syncing: sysrq/);
  const late = follow({ status: 'Starting', phase: 'booting', pid: 7 }, { type: 'start-timeout' }, ...gone, panic);
  assert.equal(late.status === 'Failed' && late.reason, 'boot-timeout');
});

test('a panic for lack of memory says what helps', () => {
  const message = (panic: string) => {
    const ended: MachineEvent = { type: 'process-ended', exit: EXIT, reason: 'guest-panic' };
    const end = follow(started(), ended, { type: 'streams-ended' }, { type: 'inspected', lastLines: [], panic });
    return end.status === 'Failed' ? end.error : null;
  };
  for (const panic of [
    'Kernel panic - not syncing: System is deadlocked on memory',
    'Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled',
    'Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)',
    'Kernel panic - not syncing: No working init found.',
  ]) {
    assert.equal(message(panic), `the guest's kernel panicked: ${panic}; give it more ram`);
  }
  const other = 'Kernel panic - not syncing: sysrq triggered crash';
  assert.equal(message(other), `the guest's kernel panicked: ${other}`);
});

test('a command that the guest killed for lack of memory is told apart from any other kill', () => {
  const end: MachineEvent[] = [{ type: 'process-ended', exit: EXIT }, { type: 'streams-ended' }, INSPECTED];
  const exited = (oomKilled: boolean) =>
    follow(started(), { type: 'job-exited', exit: KILLED, oomKilled }, { type: 'drained' }, ...end);
  const killed = exited(true);
  assert.deepEqual([killed.status, 'reason' in killed && killed.reason], ['Stopped', 'out-of-memory']);
  const other = exited(false);
  assert.deepEqual([other.status, 'reason' in other && other.reason], ['Stopped', 'exited']);
});

test('a VM that is not ready in time fails with that reason, although it was killed', () => {
  const end = follow(
    { status: 'Starting', phase: 'booting', pid: 7 },
    { type: 'start-timeout' },
    { type: 'process-ended', exit: KILLED },
    { type: 'streams-ended' },
    INSPECTED,
  );
  assert.deepEqual(
    end,
    failed({
      ...{ error: 'the VM was not ready in 120 s', reason: 'boot-timeout', endedBy: 'vm_sigkill' },
      ...{ startedAtMs: null, stoppedAtMs: NOW.ms },
    }),
  );
});

/** A run under a restart policy, from its start to its conclusion. */
function endRun(restart: Partial<Rules['restart']>, run: ServiceState, ...events: readonly MachineEvent[]) {
  const rules: Rules = { ...RULES, healthcheck: null, restart: { ...RULES.restart, ...restart } };
  let last = { state: run, effects: [] as readonly Effect[] };
  for (const event of events) last = transition(last.state, event, NOW, rules);
  return last;
}

const EXITED: readonly MachineEvent[] = [
  { type: 'job-exited', exit: EXIT },
  { type: 'drained' },
  { type: 'process-ended', exit: EXIT },
  { type: 'streams-ended' },
  INSPECTED,
];

test('a run that ended by itself is followed by another one as its restart policy says', () => {
  const { state, effects } = endRun({ when: 'on-failure' }, serviceState(started()), ...EXITED);
  assert.equal(state.actual.status, 'Stopped');
  assert.deepEqual(state.restarts, { total: 1, inRow: 1, lastReason: 'exit code 3' });
  assert.equal(nameEffects(effects), `${CLEAN_UP}, schedule-restart 1000`);
  assert.equal(state.desired, 'up');
});

test('a run that was stopped is followed by none, whatever the restart policy says', () => {
  // It is not inspected.
  const ENDED = EXITED.slice(0, -1);
  for (const stop of [
    { type: 'stop', timeoutMs: 5000 },
    { type: 'suspend', timeoutMs: 5000 },
  ] as const) {
    for (const before of [stop, ...ENDED].map((_, index) => index)) {
      const events = [...ENDED.slice(0, before), stop, ...ENDED.slice(before)].slice(0, ENDED.length + 1);
      if (events.at(-1) === stop) continue;
      const { effects } = endRun({ when: 'always' }, serviceState(started()), ...events);
      assert.equal(nameEffects(effects), CLEAN_UP, events.map(nameEvent).join(', '));
    }
  }
});

test('a service that ended too often in a row has failed', () => {
  const tired = serviceState(started({ startedAtMs: NOW.ms }), { restarts: { total: 9, inRow: 3, lastReason: 'x' } });
  const { state, effects } = endRun({ when: 'always', max_restarts: 3 }, tired, ...EXITED);
  assert.ok(state.actual.status === 'Failed');
  assert.equal(state.actual.error, 'gave up after 3 restarts in a row; last reason: exit code 3');
  assert.equal(state.actual.reason, 'gave-up');
  assert.equal(nameEffects(effects), CLEAN_UP);
});

test('a start by the user resets the restart count, a restart does not', () => {
  const restarts = { total: 4, inRow: 2, lastReason: 'exit code 3' };
  const waiting = serviceState({ status: 'Starting', phase: 'waiting', pid: null, resumeAtMs: 0, last: stopped() });
  const asked = transition({ ...waiting, restarts }, { type: 'start' }, NOW, RULES);
  assert.deepEqual(asked.state.restarts, NO_RESTARTS);
  const due = transition({ ...waiting, restarts }, { type: 'restart-due' }, NOW, RULES);
  assert.deepEqual(due.state.restarts, restarts);
});

test('a service above its max_memory for three samples is restarted; a peak is not enough', () => {
  const sample = (bytes: number): MachineEvent => ({ type: 'memory-sampled', bytes });
  const peak = follow(started(), sample(1001), sample(1001), sample(899), sample(1001), sample(1001));
  assert.equal(peak.status, 'Started');
  // Between the two limits the count stands still.
  const over = follow(started(), sample(1001), sample(950), sample(1001), sample(950), sample(1001));
  assert.ok(over.status === 'Stopping');
  assert.deepEqual([over.phase, over.reason, over.afterStop], ['asking', 'max-memory', 'decide']);
  assert.match(over.detail!, /more than its max_memory/);
});

test('the boot timer starts when the image is ready', () => {
  const rules: Rules = { ...RULES, image: 'app' };
  const asked = transition(serviceState({ status: 'Unstarted' }), { type: 'start' }, NOW, rules);
  assert.equal(nameEffects(asked.effects), 'cancel-timer restart-due, persist, launch');
  const ready = transition(asked.state, { type: 'image-ready', digest: 'sha256:1' }, NOW, rules);
  assert.equal(nameEffects(ready.effects), 'persist, set-timer start-timeout 120000');
  assert.equal(ready.state.image, 'sha256:1');
  const { state } = transition(ready.state, { type: 'launched', pid: 7 }, NOW, rules);
  assert.equal(state.image, 'sha256:1');
});

test('a guest that misused a port of its VM fails by that name, whether or not its command ran', () => {
  const offence = 'flooded its exit port';
  for (const actual of [started(), { status: 'Starting', phase: 'booting', pid: 7 } as const]) {
    const ended: MachineEvent = { type: 'process-ended', exit: KILLED, reason: 'guest-flood', offence };
    const end = follow(actual, ended, { type: 'streams-ended' }, INSPECTED);
    assert.ok(end.status === 'Failed');
    assert.deepEqual([end.reason, end.error], ['guest-flood', `the guest ${offence}`]);
  }
});
