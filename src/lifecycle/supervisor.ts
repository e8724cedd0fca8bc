/** One service: its state, its events in order, the effects they have. The only place that performs effects. */
import { EventEmitter } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { errorText, MonocoreError } from '../errors.ts';
import { type Metrics, NO_METRICS, type ServiceStatus } from '../protocol/service.ts';
import type { StateDocument } from '../protocol/state-document.ts';
import type { Adoption } from '../vm/driver.ts';
import { renderDocument, renderStatus, type ServiceDefinition, type Snapshot } from './document.ts';
import type { LifecyclePorts } from './ports.ts';
import { resume } from './resume.ts';
import type { Effect, TimerName, VmEvent, VmState } from './state.ts';
import { transition } from './transition.ts';
import { VmSession } from './vm-session.ts';

/** Supervises one service. Main thread. */
export class Supervisor extends EventEmitter<{ change: [ServiceStatus] }> {
  readonly definition: ServiceDefinition;
  readonly #ports: LifecyclePorts;
  readonly #createdAtMs: number;
  readonly #queue: VmEvent[] = [];
  readonly #session: VmSession;
  readonly #timers = new Map<TimerName, () => void>();
  /** Commands that wait for a state, asked when there is no event left to work on. */
  readonly #waiters = new Set<() => void>();
  #announced: ServiceStatus | null = null;
  #state: VmState;
  #metrics: Metrics = NO_METRICS;
  #logStalled: string | null = null;
  #busy = false;
  #concludedRuns = 0;

  /** @param initial where the service stands: `Unstarted`, or how an earlier run of it ended */
  constructor(definition: ServiceDefinition, ports: LifecyclePorts, initial: VmState = { status: 'Unstarted' }) {
    super();
    this.definition = definition;
    this.#ports = ports;
    this.#state = initial;
    this.#createdAtMs = ports.clock.now();
    this.#session = new VmSession(definition, ports, {
      onEvent: (event) => this.#dispatch(event),
      onStalled: (error) => this.#onStalled(error),
    });
  }

  /**
   * Goes on with a service whose VM an earlier daemon launched.
   *
   * @param document its state file
   * @throws MonocoreError when its streams cannot be captured
   */
  static async adopt(
    definition: ServiceDefinition,
    ports: LifecyclePorts,
    document: StateDocument,
    adoption: Extract<Adoption, { type: 'running' }>,
  ): Promise<Supervisor> {
    const supervisor = new Supervisor(definition, ports);
    await supervisor.#resume(document, adoption);
    return supervisor;
  }

  get name(): string {
    return this.definition.service.name;
  }

  /** The service as `monocore status` shows it. */
  status(): ServiceStatus {
    return renderStatus(this.#snapshot());
  }

  /** Whether a process of the service may exist. */
  get active(): boolean {
    return this.#state.status === 'Starting' || this.#state.status === 'Started' || this.#state.status === 'Stopping';
  }

  /**
   * Starts the service; does nothing when it is up. A service that is stopping starts again when it has stopped.
   *
   * @returns its status once its command runs, or has run already
   * @throws MonocoreError `StartFailed` with the reason; `Aborted` when a stop came first
   */
  async start(): Promise<ServiceStatus> {
    const wasStopping = this.#state.status === 'Stopping';
    this.#dispatch({ type: 'start' });
    // A start of a stopping service begins only after the end of the run before.
    if (wasStopping) await this.#until((state) => state.status !== 'Stopping');
    const state = await this.#until(
      ({ status, ...rest }) =>
        status === 'Started' ||
        status === 'Stopped' ||
        status === 'Failed' ||
        (status === 'Stopping' && 'startedAtMs' in rest && rest.startedAtMs !== null),
    );
    if (state.status === 'Failed') throw new MonocoreError('StartFailed', state.error);
    if (state.status === 'Stopped' && state.startedAtMs === null) {
      throw new MonocoreError('Aborted', 'it was stopped before its command ran');
    }
    return this.status();
  }

  /**
   * Stops the service and waits until its process has ended and everything that it printed is in its files.
   *
   * @param timeoutMs for the graceful part; the service's own by default
   */
  async stop(timeoutMs: number = this.definition.service.stop_timeout_ms): Promise<ServiceStatus> {
    this.#dispatch({ type: 'stop', timeoutMs });
    return this.ended();
  }

  /** Resolves when the process that may exist now does not any more; the service may have been started again then. */
  async ended(): Promise<ServiceStatus> {
    const concludedRuns = this.#concludedRuns;
    await this.#until(() => !this.active || this.#concludedRuns > concludedRuns);
    return this.status();
  }

  async #resume(document: StateDocument, adoption: Extract<Adoption, { type: 'running' }>): Promise<void> {
    const { status, exit, started_at } = document;
    const { stop_timeout_ms } = this.definition.service;
    const nowMs = this.#ports.clock.now();
    const identity = await this.#session.adopt(adoption);
    const pid = document.pid ?? identity.pid;
    const startedAtMs = started_at === null ? null : Date.parse(started_at);
    // A state file of an ended service says that its end was not concluded: what is left of it is stopped.
    const stored = typeof status === 'string' && status !== 'Unstarted' ? status : 'Stopping';
    const { state, effects } = resume(stored, { pid, startedAtMs, exit }, stop_timeout_ms, nowMs);
    this.#state = state;
    for (const effect of effects) await this.#perform(effect);
  }

  #snapshot(): Snapshot {
    return {
      ...this.definition,
      state: this.#state,
      identity: this.#session.identity,
      metrics: this.#metrics,
      createdAtMs: this.#createdAtMs,
      restarts: 0,
      logStalled: this.#logStalled,
    };
  }

  /** Resolves when the state, all effects of reaching it done, fits. */
  #until(fits: (state: VmState) => boolean): Promise<VmState> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (this.#busy || !fits(this.#state)) return;
        this.#waiters.delete(check);
        resolve(this.#state);
      };
      this.#waiters.add(check);
      check();
    });
  }

  #dispatch(event: VmEvent): void {
    this.#queue.push(event);
    if (!this.#busy) void this.#work();
  }

  /** Takes events one by one: an effect that must come first is awaited before the next event is looked at. */
  async #work(): Promise<void> {
    this.#busy = true;
    for (let event = this.#queue.shift(); event; event = this.#queue.shift()) {
      const before = this.#state;
      const { state, effects } = transition(before, event, this.#ports.clock.now());
      this.#state = state;
      for (const effect of effects) {
        try {
          await this.#perform(effect);
        } catch (error) {
          this.#ports.report('error', `${this.name}: ${effect.type} failed: ${errorText(error)}`, { err: error });
          // Nothing is launched that no later daemon could find.
          if (effect.type === 'persist' && state.status === 'Starting' && state.phase === 'preparing') {
            this.#queue.unshift({ type: 'launch-failed', error: `its state cannot be saved: ${errorText(error)}` });
            break;
          }
        }
      }
      this.#announce(before, state);
    }
    this.#busy = false;
    for (const check of [...this.#waiters]) check();
  }

  #emitChange(): void {
    const status = this.status();
    if (isDeepStrictEqual(status, this.#announced)) return;
    this.#announced = status;
    this.emit('change', status);
  }

  #announce(before: VmState, state: VmState): void {
    this.#emitChange();
    if (before.status === state.status) return;
    const data = { service: this.name, status: state.status, ...('exit' in state ? { exit: state.exit } : {}) };
    if (state.status === 'Failed') this.#ports.report('error', `${this.name}: failed: ${state.error}`, data);
    else if (state.status === 'Stopped') {
      const code = state.exit.code ?? 'unknown';
      this.#ports.report('info', `${this.name}: ended with exit code ${code}`, data);
    } else this.#ports.report('info', `${this.name}: ${state.status}`, data);
  }

  async #perform(effect: Effect): Promise<void> {
    const { store, clock, metrics } = this.#ports;
    switch (effect.type) {
      case 'persist':
        return store.save(renderDocument(this.#snapshot(), clock.now()));
      case 'launch':
        void this.#session.launch();
        return;
      case 'cancel-launch':
        return this.#session.cancelLaunch();
      case 'signal-job':
        return this.#session.vm?.signalJob(effect.signal);
      case 'drain':
        void this.#session.drain();
        return;
      case 'release':
        return this.#session.vm?.release();
      case 'kill':
        return this.#session.vm?.kill(effect.signal);
      case 'set-timer':
        return this.#setTimer(effect.timer, effect.delayMs);
      case 'cancel-timer':
        return this.#cancelTimer(effect.timer);
      case 'watch-metrics':
        return metrics.watch(this.name, effect.pid, (sample) => this.#onSample(sample));
      case 'unwatch-metrics':
        this.#metrics = NO_METRICS;
        return metrics.unwatch(this.name);
      case 'conclude':
        return this.#conclude();
      case 'start-again':
        this.#queue.unshift({ type: 'start' });
        return;
    }
  }

  async #conclude(): Promise<void> {
    const { store, drivers, clock } = this.#ports;
    this.#session.forget();
    this.#concludedRuns += 1;
    await drivers[this.definition.service.isolation].cleanUp(this.name);
    await store.conclude(renderDocument(this.#snapshot(), clock.now()));
  }

  #onStalled(error: string | null): void {
    this.#logStalled = error;
    this.#emitChange();
  }

  #onSample(sample: Metrics): void {
    if (this.#state.status !== 'Started') return;
    this.#metrics = sample;
    this.#ports.store.saveSoon(renderDocument(this.#snapshot(), this.#ports.clock.now()));
    this.#emitChange();
  }

  #setTimer(timer: TimerName, delayMs: number): void {
    this.#cancelTimer(timer);
    const cancel = this.#ports.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      this.#dispatch({ type: 'timer', timer });
    });
    this.#timers.set(timer, cancel);
  }

  #cancelTimer(timer: TimerName): void {
    this.#timers.get(timer)?.();
    this.#timers.delete(timer);
  }
}
