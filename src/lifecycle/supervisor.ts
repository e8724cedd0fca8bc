/** One service: its state, its events in order, the effects they have. The only place that performs effects. */
import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { errorText, MonocoreError } from '../errors.ts';
import type { StreamName } from '../protocol/logs.ts';
import { type Metrics, NO_METRICS, type ServiceStatus } from '../protocol/service.ts';
import type { ProcessIdentity, RunningVm } from '../vm/driver.ts';
import { addressOf, renderDocument, renderStatus, type ServiceDefinition, type Snapshot } from './document.ts';
import type { LifecyclePorts } from './ports.ts';
import type { Effect, TimerName, VmEvent, VmState } from './state.ts';
import { transition } from './transition.ts';

/** 128 random bits: nothing that a service prints is taken for it. */
const MARKER_BYTES = 16;

/** Supervises one service. Main thread. */
export class Supervisor extends EventEmitter<{ change: [ServiceStatus] }> {
  readonly definition: ServiceDefinition;
  readonly #ports: LifecyclePorts;
  readonly #createdAtMs: number;
  readonly #queue: VmEvent[] = [];
  readonly #timers = new Map<TimerName, () => void>();
  /** Commands that wait for a state, asked when there is no event left to work on. */
  readonly #waiters = new Set<() => void>();
  #announced: ServiceStatus | null = null;
  #state: VmState;
  #identity: ProcessIdentity | null = null;
  #metrics: Metrics = NO_METRICS;
  #vm: RunningVm | null = null;
  #cancelLaunch: AbortController | null = null;
  #busy = false;
  #concludedRuns = 0;

  /** @param initial where the service stands: `Unstarted`, or how an earlier run of it ended */
  constructor(definition: ServiceDefinition, ports: LifecyclePorts, initial: VmState = { status: 'Unstarted' }) {
    super();
    this.definition = definition;
    this.#ports = ports;
    this.#state = initial;
    this.#createdAtMs = ports.clock.now();
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

  #snapshot(): Snapshot {
    return {
      ...this.definition,
      state: this.#state,
      identity: this.#identity,
      metrics: this.#metrics,
      createdAtMs: this.#createdAtMs,
      restarts: 0,
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
        void this.#launch();
        return;
      case 'cancel-launch':
        this.#cancelLaunch?.abort();
        return;
      case 'signal-job':
        return this.#vm?.signalJob(effect.signal);
      case 'drain':
        void this.#drain();
        return;
      case 'release':
        return this.#vm?.release();
      case 'kill':
        return this.#vm?.kill(effect.signal);
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

  /** Prepares, captures the streams, launches: in this order, so that nothing is printed before somebody reads. */
  async #launch(): Promise<void> {
    const { service, group, kernel } = this.definition;
    const driver = this.#ports.drivers[service.isolation];
    const cancel = new AbortController();
    this.#cancelLaunch = cancel;
    let streamsEnded: Promise<void> = Promise.resolve();
    try {
      const address = addressOf(this.definition);
      const localOnly = group?.local_only ?? true;
      const prepared = await driver.prepare({ service, address, localOnly, kernel }, cancel.signal);
      try {
        let onEnded = (): void => {};
        const ended = new Promise<void>((resolve) => {
          onEnded = resolve;
        });
        const reopen = (stream: StreamName): number => this.#reopen(stream);
        await this.#ports.logs.capture(service.name, prepared.streams, { reopen, onEnded });
        streamsEnded = ended;
        if (cancel.signal.aborted) throw new MonocoreError('Aborted', 'the start was called off');
      } catch (error) {
        prepared.discard();
        throw error;
      }
      let onProcessEnded = (): void => {};
      const processEnded = new Promise<void>((resolve) => {
        onProcessEnded = resolve;
      });
      const vm = await prepared.launch((event) => {
        this.#dispatch(event);
        if (event.type === 'process-ended') onProcessEnded();
      });
      this.#vm = vm;
      this.#identity = vm.identity;
      this.#dispatch({ type: 'launched', pid: vm.identity.pid });
      // The log worker may see the end of the streams before this thread sees that of the process.
      void Promise.all([processEnded, streamsEnded]).then(() => this.#dispatch({ type: 'streams-ended' }));
    } catch (error) {
      // The service may be started again at once: its streams must be free by then.
      await streamsEnded;
      this.#dispatch({ type: 'launch-failed', error: errorText(error) });
    }
  }

  #reopen(stream: StreamName): number {
    if (!this.#vm) throw new MonocoreError('Internal', `${this.name}: no VM to reopen ${stream} of`);
    return this.#vm.reopenStream(stream);
  }

  async #drain(): Promise<void> {
    const vm = this.#vm;
    const marker = randomBytes(MARKER_BYTES).toString('hex');
    try {
      if (vm?.drains) await this.#ports.logs.awaitMarker(this.name, marker, () => vm.drain(marker));
    } catch (error) {
      // Without the log worker nobody knows what has arrived; the stop timer decides.
      this.#ports.report('warn', `${this.name}: the end of its output was not seen: ${errorText(error)}`);
      return;
    }
    this.#dispatch({ type: 'drained' });
  }

  async #conclude(): Promise<void> {
    const { store, drivers, clock } = this.#ports;
    this.#vm = null;
    this.#identity = null;
    this.#cancelLaunch = null;
    this.#concludedRuns += 1;
    await drivers[this.definition.service.isolation].cleanUp(this.name);
    await store.conclude(renderDocument(this.#snapshot(), clock.now()));
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
