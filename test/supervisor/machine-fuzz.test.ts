/** Random lives of a service, with every event that may happen at each point, against the invariants. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { transition } from '../../src/supervisor/machine.ts';
import {
  type Effect,
  INITIAL_STATE,
  type MachineEvent,
  type Rules,
  type ServiceState,
  type Timer,
} from '../../src/supervisor/states.ts';
import { healthCheck } from '../helpers/fakes/health-check.ts';
import { scriptService } from '../helpers/fakes/services.ts';
import { rounds } from '../helpers/rounds.ts';

const EXIT = { code: 0, signal: null };

/** Restarts after every end, five times in a row, and for its health and its memory. */
const RULES: Rules = scriptService('web', 'true', {
  on_unhealthy: 'restart',
  healthcheck: healthCheck({ interval_ms: 1000, retries: 2 }),
  restart: { when: 'always', max_restarts: 5, reset_ms: 60_000, max_memory_bytes: 1000 },
});

/** The world around one service: it knows the events that may happen next, and rejects forbidden effects. */
class World {
  state: ServiceState = INITIAL_STATE;
  readonly history: string[] = [];
  #launching = false;
  #vm: { started: boolean; exited: boolean; ended: boolean; streamsEnded: boolean } | null = null;
  #drains = 0;
  #probes = 0;
  #isInspecting = false;
  #runs = 0;
  #conclusions = 0;
  #persisted = false;
  #killed = false;
  readonly #timers = new Set<Timer>();

  /** Every event that can come now, as `vm/backend.ts` promises their order; one may be missed at any time. */
  possible(): MachineEvent[] {
    const vm = this.#vm;
    const events: MachineEvent[] = [
      { type: 'start' },
      { type: 'stop', timeoutMs: 5000 },
      { type: 'stop', timeoutMs: 0 },
      { type: 'suspend', timeoutMs: 5000 },
      { type: 'memory-sampled', bytes: 2000 },
      { type: 'log-stalled' },
      ...[...this.#timers].map((timer): MachineEvent => ({ type: timer })),
    ];
    if (this.#launching) events.push({ type: 'launched', pid: 7 }, { type: 'launch-failed', error: 'no' });
    if (vm && !vm.ended) {
      if (!vm.exited) events.push({ type: 'job-started', pid: 7 }, { type: 'job-exited', exit: EXIT });
      if (!vm.started && !vm.exited) events.push({ type: 'job-failed', error: 'no' });
      events.push({ type: 'process-ended', exit: EXIT });
    }
    if (vm?.ended && !vm.streamsEnded) events.push({ type: 'streams-ended' });
    if (this.#drains > 0) events.push({ type: 'drained' });
    if (this.#probes > 0)
      events.push({ type: 'probed', ok: true, detail: '' }, { type: 'probed', ok: false, detail: '' });
    if (this.#isInspecting) events.push({ type: 'inspected', lastLines: [], panic: null });
    return events;
  }

  happen(event: MachineEvent): void {
    this.history.push(event.type);
    this.#note(event);
    const { state, effects } = transition(
      this.state,
      event,
      { ms: 0, ageMs: 0, jitter: 0.5, isLogStalled: true },
      RULES,
    );
    this.state = state;
    this.#persisted = false;
    for (const effect of effects) this.#check(effect);
    this.#checkState();
    const last = effects.at(-1);
    if (last?.type !== 'schedule-restart') return;
    const { delayMs } = last;
    this.happen(delayMs === 0 ? { type: 'restart-due' } : { type: 'restart-scheduled', delayMs });
  }

  /** Follows a stop to its end: nothing answers but the kernel. */
  end(): void {
    this.happen({ type: 'stop', timeoutMs: 0 });
    for (let step = 0; this.state.actual.status === 'Stopping'; step += 1) {
      assert.ok(step < 10, this.#describe('a stop never ends'));
      const due = this.possible().find(
        ({ type }) =>
          type === 'launched' ||
          type === 'streams-ended' ||
          type === 'inspected' ||
          (this.#killed ? type === 'process-ended' : type === 'stop-timeout' && !this.#vm?.ended),
      );
      assert.ok(due, this.#describe('no event is left that could end it'));
      this.happen(due);
    }
  }

  #note(event: MachineEvent): void {
    const vm = this.#vm;
    switch (event.type) {
      case 'launched':
        this.#vm = { started: false, exited: false, ended: false, streamsEnded: false };
        this.#launching = false;
        return;
      case 'launch-failed':
        this.#launching = false;
        return;
      case 'drained':
        this.#drains -= 1;
        return;
      case 'probed':
        this.#probes -= 1;
        return;
      case 'inspected':
        this.#isInspecting = false;
        return;
      case 'start-timeout':
      case 'stop-timeout':
      case 'probe-due':
      case 'restart-due':
        this.#timers.delete(event.type);
        return;
      case 'job-started':
        vm!.started = true;
        return;
      case 'job-failed':
      case 'job-exited':
        vm!.exited = event.type === 'job-exited';
        return;
      case 'process-ended':
        vm!.ended = true;
        return;
      case 'streams-ended':
        vm!.streamsEnded = true;
    }
  }

  #check(effect: Effect): void {
    switch (effect.type) {
      case 'persist':
        this.#persisted = true;
        return;
      case 'launch':
        assert.ok(!this.#mayRun(), this.#describe('launched while a process may exist'));
        assert.ok(this.#persisted, this.#describe('launched before it was saved'));
        assert.equal(this.#conclusions, this.#runs, this.#describe('launched before the last run was concluded'));
        this.#launching = true;
        this.#killed = false;
        this.#vm = null;
        this.#drains = 0;
        this.#probes = 0;
        this.#runs += 1;
        return;
      case 'drain':
      case 'release':
      case 'kill':
      case 'signal-job':
        assert.ok(this.#vm && !this.#vm.ended, this.#describe(`${effect.type} without a process`));
        if (effect.type === 'drain') this.#drains += 1;
        if (effect.type === 'kill') this.#killed = effect.signal === 'SIGKILL';
        return;
      case 'inspect':
        this.#isInspecting = true;
        return;
      case 'probe':
        assert.ok(this.#vm && !this.#vm.ended, this.#describe('probed without a process'));
        this.#probes += 1;
        return;
      case 'end-probes':
        this.#probes = 0;
        return;
      case 'conclude':
        this.#conclusions += 1;
        assert.equal(this.#conclusions, this.#runs, this.#describe('concluded twice'));
        assert.equal(this.#timers.size, 0, this.#describe('a timer outlives the run'));
        assert.equal(this.#probes, 0, this.#describe('a probe outlives the run'));
        assert.ok(!this.#mayRun(), this.#describe('concluded while a process may exist'));
        return;
      case 'set-timer':
        this.#timers.add(effect.timer);
        return;
      case 'cancel-timer':
        this.#timers.delete(effect.timer);
    }
  }

  #checkState(): void {
    const { actual } = this.state;
    const isWaiting = actual.status === 'Starting' && actual.phase === 'waiting';
    const isActive =
      actual.status === 'Started' || actual.status === 'Stopping' || (actual.status === 'Starting' && !isWaiting);
    assert.equal(isActive, this.#mayRun(), this.#describe('the state does not say whether a process may exist'));
    assert.equal(this.#conclusions, isActive ? this.#runs - 1 : this.#runs, this.#describe('conclusions'));
    const timers = [...this.#timers];
    if (isWaiting) assert.deepEqual(timers, ['restart-due'], this.#describe('it does not wait for its restart alone'));
    else assert.ok(!timers.includes('restart-due'), this.#describe('a restart is due though it does not wait'));
    if (!isActive && !isWaiting) assert.deepEqual(timers, [], this.#describe('a timer runs though nothing does'));
  }

  /** True while a process of the service may exist, or its output may be on its way. */
  #mayRun(): boolean {
    return this.#launching || this.#isInspecting || (this.#vm !== null && !(this.#vm.ended && this.#vm.streamsEnded));
  }

  #describe(complaint: string): string {
    return `${complaint}, in ${JSON.stringify(this.state)} after ${this.history.join(', ')}`;
  }
}

test('each run is concluded once, and no effect is about a process that does not exist', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1000), { maxLength: 60 }), (choices) => {
      const world = new World();
      for (const choice of choices) {
        const possible = world.possible();
        world.happen(possible[choice % possible.length]!);
      }
    }),
    { numRuns: rounds(3000) },
  );
});

test('a stop ends in every state, even if only the kernel answers', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1000), { maxLength: 30 }), (choices) => {
      const world = new World();
      for (const choice of choices) {
        const possible = world.possible();
        world.happen(possible[choice % possible.length]!);
      }
      world.end();
      assert.match(world.state.actual.status, /^(Unstarted|Stopped|Failed)$/);
    }),
    { numRuns: rounds(1000) },
  );
});
