import assert from 'node:assert/strict';
import test from 'node:test';
import type { Effect, StopPhase, Stopping, VmEvent, VmState } from '../../src/lifecycle/state.ts';
import { transition } from '../../src/lifecycle/transition.ts';

/**
 * The machine, a line per pair: state, event, next state, effects in order. A pair that is not listed is ignored: the
 * state stays and nothing is done. `Stopping/*` is each phase that has no line of its own for the event; `*` as the
 * next state is the same phase.
 */
const MACHINE = `
Unstarted           | start         | Starting/preparing   | persist, set-timer start 120000, launch
Stopped             | start         | Starting/preparing   | persist, set-timer start 120000, launch
Failed              | start         | Starting/preparing   | persist, set-timer start 120000, launch

Starting/preparing  | launched      | Starting/booting     | persist
Starting/preparing  | launch-failed | Failed               | CLEAN-UP
Starting/preparing  | job-started   | Started              | cancel-timer start, persist, watch-metrics 7
Starting/preparing  | job-failed    | Stopping/failing     | cancel-timer start, persist, set-timer stop 10000
Starting/preparing  | job-exited    | Stopping/draining    | cancel-timer start, persist, set-timer stop 60000, drain
Starting/preparing  | process-ended | Stopping/releasing   | cancel-timer start, persist
Starting/preparing  | stop          | Stopping/cancelling  | cancel-timer start, persist, cancel-launch
Starting/preparing  | timer start   | Stopping/killing     | cancel-timer start, persist, cancel-launch

Starting/booting    | launched      | Starting/booting     | persist
Starting/booting    | launch-failed | Failed               | CLEAN-UP
Starting/booting    | job-started   | Started              | cancel-timer start, persist, watch-metrics 7
Starting/booting    | job-failed    | Stopping/failing     | cancel-timer start, persist, set-timer stop 10000
Starting/booting    | job-exited    | Stopping/draining    | cancel-timer start, persist, set-timer stop 60000, drain
Starting/booting    | process-ended | Stopping/releasing   | cancel-timer start, persist
Starting/booting    | stop          | Stopping/terminating | cancel-timer start, persist, set-timer stop 2000, kill SIGTERM
Starting/booting    | timer start   | Stopping/killing     | cancel-timer start, persist, kill SIGKILL

Started             | stop          | Stopping/asking      | cancel-timer start, persist, set-timer stop 5000, signal-job SIGTERM
Started             | job-exited    | Stopping/draining    | cancel-timer start, persist, unwatch-metrics, set-timer stop 60000, drain
Started             | process-ended | Stopping/releasing   | cancel-timer start, persist, unwatch-metrics

Stopping/*          | launched      | Stopping/killing     | persist, kill SIGKILL
Stopping/*          | launch-failed | Stopped              | CLEAN-UP
Stopping/*          | process-ended | Stopping/*           | unwatch-metrics
Stopping/*          | timer stop    | Stopping/terminating | set-timer stop 2000, kill SIGTERM
Stopping/asking     | stop          | Stopping/asking      | set-timer stop 5000
Stopping/asking     | job-exited    | Stopping/draining    | set-timer stop 60000, drain
Stopping/failing    | job-exited    | Stopping/draining    | set-timer stop 60000, drain
Stopping/draining   | drained       | Stopping/releasing   | set-timer stop 10000, release
Stopping/terminating| timer stop    | Stopping/killing     | set-timer stop 2000, kill SIGKILL
Stopping/killing    | timer stop    | Stopping/killing     | set-timer stop 2000, kill SIGKILL
`;
const CLEAN_UP = 'cancel-timer start, cancel-timer stop, unwatch-metrics, conclude';

const NOW_MS = 1_000_000;
const STARTED_AT_MS = 900_000;
const EXIT = { code: 3, signal: null };
const KILLED = { code: 137, signal: 'SIGKILL' };
const PHASES: readonly StopPhase[] = [
  'cancelling',
  'asking',
  'failing',
  'draining',
  'releasing',
  'terminating',
  'killing',
];

function stopping(phase: StopPhase, data: Partial<Stopping> = {}): Stopping {
  return {
    status: 'Stopping',
    phase,
    pid: 7,
    startedAtMs: STARTED_AT_MS,
    exit: null,
    error: null,
    processEnded: false,
    streamsEnded: false,
    startAgain: false,
    ...data,
  };
}

const STATES: readonly VmState[] = [
  { status: 'Unstarted' },
  { status: 'Stopped', exit: EXIT, startedAtMs: null, stoppedAtMs: 0 },
  { status: 'Failed', error: 'earlier', exit: null, startedAtMs: null, stoppedAtMs: 0 },
  { status: 'Starting', phase: 'preparing', pid: null },
  { status: 'Starting', phase: 'booting', pid: 7 },
  { status: 'Started', pid: 7, startedAtMs: STARTED_AT_MS },
  ...PHASES.map((phase) => stopping(phase)),
];

const EVENTS: readonly VmEvent[] = [
  { type: 'start' },
  { type: 'stop', timeoutMs: 5000 },
  { type: 'launched', pid: 7 },
  { type: 'launch-failed', error: 'no' },
  { type: 'job-started', pid: 7 },
  { type: 'job-failed', error: 'no' },
  { type: 'job-exited', exit: EXIT },
  { type: 'drained' },
  { type: 'process-ended', exit: EXIT },
  { type: 'streams-ended' },
  { type: 'timer', timer: 'start' },
  { type: 'timer', timer: 'stop' },
];

function nameState(state: VmState): string {
  return 'phase' in state ? `${state.status}/${state.phase}` : state.status;
}

function nameEvent(event: VmEvent): string {
  return event.type === 'timer' ? `timer ${event.timer}` : event.type;
}

function nameEffects(effects: readonly Effect[]): string {
  return effects.map((effect) => Object.values(effect).join(' ')).join(', ');
}

const rows = new Map(
  MACHINE.split('\n')
    .filter(Boolean)
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map(([state, event, next, effects]) => [`${state} | ${event}`, { next, effects }]),
);

/** What the table says of a pair: the name of the next state and its effects. */
function look(state: VmState, event: VmEvent): { next: string; effects: string } {
  const own = nameState(state);
  const row =
    rows.get(`${own} | ${nameEvent(event)}`) ?? rows.get(`${own.replace(/\/.*/, '/*')} | ${nameEvent(event)}`);
  if (!row) return { next: own, effects: '' };
  return { next: row.next === 'Stopping/*' ? own : row.next!, effects: row.effects!.replace('CLEAN-UP', CLEAN_UP) };
}

for (const state of STATES) {
  test(`${nameState(state)} answers each event as the table says`, () => {
    for (const event of EVENTS) {
      const { state: next, effects } = transition(state, event, NOW_MS);
      assert.deepEqual(
        { next: nameState(next), effects: nameEffects(effects) },
        look(state, event),
        `${nameState(state)} | ${nameEvent(event)}`,
      );
    }
  });
}

test('every line of the table is about a state and an event that exist', () => {
  const states = new Set([...STATES.map(nameState), 'Stopping/*']);
  const events = new Set(EVENTS.map(nameEvent));
  for (const key of rows.keys()) {
    const [state, event] = key.split(' | ');
    assert.ok(states.has(state!) && events.has(event!), key);
  }
});

/** The state after those events. */
function follow(from: VmState, ...events: readonly VmEvent[]): VmState {
  return events.reduce((state, event) => transition(state, event, NOW_MS).state, from);
}

for (const phase of PHASES) {
  test(`Stopping/${phase} ends when both the process and the streams have ended, in either order`, () => {
    const processFirst = stopping(phase, { exit: EXIT, error: null, processEnded: true });
    const streamsFirst = stopping(phase, { exit: EXIT, error: null, streamsEnded: true });
    for (const [state, event] of [
      [processFirst, { type: 'streams-ended' }],
      [
        { ...streamsFirst, error: 'known' },
        { type: 'process-ended', exit: KILLED },
      ],
    ] as const) {
      const { state: end, effects } = transition(state, event, NOW_MS);
      assert.equal(end.status, state.error === null ? 'Stopped' : 'Failed');
      assert.ok(nameEffects(effects).endsWith(CLEAN_UP));
    }
  });

  test(`Stopping/${phase} waits for the streams without signalling a process that has ended`, () => {
    const state = stopping(phase, { processEnded: true });
    for (const event of [{ type: 'timer', timer: 'stop' }, { type: 'drained' }] as const) {
      assert.deepEqual(transition(state, event, NOW_MS), { state, effects: [] });
    }
  });

  test(`Stopping/${phase} starts again when asked to meanwhile, unless a stop withdraws it`, () => {
    const asked = follow(stopping(phase, { processEnded: true }), { type: 'start' });
    const { state, effects } = transition(asked, { type: 'streams-ended' }, NOW_MS);
    assert.match(state.status, /^(Stopped|Failed)$/);
    assert.equal(nameEffects(effects), `${CLEAN_UP}, start-again`);
    const withdrawn = follow(asked, { type: 'stop', timeoutMs: 0 });
    assert.equal(nameEffects(transition(withdrawn, { type: 'streams-ended' }, NOW_MS).effects), CLEAN_UP);
  });
}

test('a stop without time cuts the graceful phases short, a stop with time only the command', () => {
  for (const phase of ['asking', 'failing', 'draining', 'releasing'] as const) {
    const { effects } = transition(stopping(phase), { type: 'stop', timeoutMs: 0 }, NOW_MS);
    assert.equal(nameEffects(effects), 'set-timer stop 0', phase);
  }
});

test('the exit is that of the command, however the VM ends afterwards', () => {
  const end = follow(
    { status: 'Started', pid: 7, startedAtMs: STARTED_AT_MS },
    { type: 'job-exited', exit: EXIT },
    { type: 'timer', timer: 'stop' },
    { type: 'timer', timer: 'stop' },
    { type: 'process-ended', exit: KILLED },
    { type: 'streams-ended' },
  );
  assert.deepEqual(end, { status: 'Stopped', exit: EXIT, startedAtMs: STARTED_AT_MS, stoppedAtMs: NOW_MS });
});

test('a command that dies with its VM has the signal that killed both as its exit', () => {
  const end = follow(
    stopping('asking'),
    { type: 'timer', timer: 'stop' },
    { type: 'timer', timer: 'stop' },
    { type: 'process-ended', exit: KILLED },
    { type: 'streams-ended' },
  );
  assert.deepEqual(end, { status: 'Stopped', exit: KILLED, startedAtMs: STARTED_AT_MS, stoppedAtMs: NOW_MS });
});

test('the exit is unknown where nobody saw it: a status of the VM process is none of the command', () => {
  const cleanQemuExit: VmEvent = { type: 'process-ended', exit: { code: 0, signal: null } };
  for (const state of [
    follow(stopping('asking'), { type: 'timer', timer: 'stop' }, cleanQemuExit),
    follow({ status: 'Starting', phase: 'booting', pid: 7 }, { type: 'stop', timeoutMs: 5000 }, cleanQemuExit),
    follow(
      { status: 'Starting', phase: 'booting', pid: 7 },
      { type: 'stop', timeoutMs: 5000 },
      { type: 'process-ended', exit: KILLED },
    ),
  ]) {
    const end = follow(state, { type: 'streams-ended' });
    assert.ok(end.status === 'Stopped');
    assert.deepEqual(end.exit, { code: null, signal: null });
  }
});

test('a VM that ends unasked is a failure that says how it ended', () => {
  const crash: VmEvent = { type: 'process-ended', exit: KILLED };
  const cases: [VmState, RegExp][] = [
    [{ status: 'Starting', phase: 'booting', pid: 7 }, /ended by SIGKILL before the command ran/],
    [{ status: 'Started', pid: 7, startedAtMs: STARTED_AT_MS }, /ended by SIGKILL unexpectedly/],
    [stopping('asking'), /ended by SIGKILL unexpectedly/],
    [stopping('draining', { exit: EXIT }), /ended by SIGKILL unexpectedly/],
  ];
  for (const [state, message] of cases) {
    const end = follow(state, crash, { type: 'streams-ended' });
    assert.ok(end.status === 'Failed', nameState(state));
    assert.match(end.error, message);
  }
  const withStatus = follow(
    { status: 'Started', pid: 7, startedAtMs: STARTED_AT_MS },
    { type: 'process-ended', exit: { code: 1, signal: null } },
    { type: 'streams-ended' },
  );
  assert.match(withStatus.status === 'Failed' ? withStatus.error : '', /with status 1 unexpectedly/);
});

test('a VM that is not ready in time fails with that reason, though it was killed', () => {
  const end = follow(
    { status: 'Starting', phase: 'booting', pid: 7 },
    { type: 'timer', timer: 'start' },
    { type: 'process-ended', exit: KILLED },
    { type: 'streams-ended' },
  );
  assert.deepEqual(end, {
    status: 'Failed',
    error: 'the VM was not ready in 120 s',
    exit: null,
    startedAtMs: null,
    stoppedAtMs: NOW_MS,
  });
});
