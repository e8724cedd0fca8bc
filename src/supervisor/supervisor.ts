/** One service: its state, its events in order, the effects they have. The only place that performs effects. */
import { EventEmitter } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { errorText } from '../lib/errors.ts';
import { type Condition, type Metrics, NO_METRICS, type ServiceStatus } from '../protocol/service.ts';
import type { SavedState } from '../protocol/state-document.ts';
import type { Adoption } from '../vm/backend.ts';
import { describeChange } from './announcement.ts';
import { EventQueue } from './event-queue.ts';
import { Prober } from './health-checker.ts';
import type { SupervisorContext } from './interfaces.ts';
import { transition } from './machine.ts';
import { checkCondition, hasBegunOrEnded, isActive, whyNotStarted } from './readiness.ts';
import { resume } from './recover.ts';
import { persist } from './saved-state.ts';
import { type Effect, INITIAL_STATE, type MachineEvent, type ServiceState, type VmState } from './states.ts';
import {
  type Hindrances,
  renderDocument,
  renderStatus,
  restoredState,
  type ServiceDefinition,
  type Snapshot,
  UNHINDERED,
} from './status.ts';
import { TimerSet } from './timer-set.ts';
import { VmSession } from './vm-session.ts';
import { Waiters } from './waiters.ts';

/** Supervises one service. Main thread. */
export class Supervisor extends EventEmitter<{ change: [ServiceStatus] }> {
  readonly definition: ServiceDefinition;
  readonly #ports: SupervisorContext;
  readonly #createdAtMs: number;
  readonly #events = new EventQueue<MachineEvent>(
    (event) => this.#handle(event),
    () => this.#waiters.check(),
    () => this.#ports.closing.aborted,
  );
  readonly #session: VmSession;
  readonly #prober: Prober;
  readonly #timers: TimerSet;
  /** Commands that wait for a state, asked when there is no event left to work on. */
  readonly #waiters = new Waiters();
  #announced: ServiceStatus | null = null;
  #state: ServiceState;
  #metrics: Metrics = NO_METRICS;
  #hindrances: Hindrances = UNHINDERED;
  #launchedAtMs: number | null = null;
  #concludedRuns = 0;

  /** @param initial where the service stands: `Unstarted`, or how an earlier run of it ended */
  constructor(definition: ServiceDefinition, ports: SupervisorContext, initial: ServiceState = INITIAL_STATE) {
    super();
    this.definition = definition;
    this.#ports = ports;
    this.#state = initial;
    this.#createdAtMs = ports.clock.now();
    this.#session = new VmSession(definition, ports, {
      onEvent: (event) => this.#events.push(event),
      onHindered: (change) => this.hinder(change),
      onNotes: () => this.#emitChange(),
    });
    this.#prober = new Prober(definition.service, ports.logs, (result) =>
      this.#events.push({ type: 'probed', ...result }),
    );
    this.#timers = new TimerSet(ports.clock, (timer) => this.#events.push({ type: 'timer', timer }));
  }

  /**
   * Goes on with a service whose VM an earlier daemon launched.
   *
   * @param document its state file
   * @throws MonocoreError when its streams cannot be captured
   */
  static async adopt(
    definition: ServiceDefinition,
    ports: SupervisorContext,
    document: SavedState,
    adoption: Extract<Adoption, { type: 'running' }>,
  ): Promise<Supervisor> {
    const supervisor = new Supervisor(definition, ports, restoredState(document));
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

  /** What decides about the service. */
  get state(): ServiceState {
    return this.#state;
  }

  /** Notes what keeps it from going on. */
  hinder(change: Partial<Hindrances>): void {
    this.#hindrances = { ...this.#hindrances, ...change };
    this.#emitChange();
  }

  /** Whether a process of the service may exist. */
  get active(): boolean {
    return isActive(this.#state.actual);
  }

  /**
   * Starts the service; does nothing when it is up. A service that is stopping starts again when it has stopped, one
   * that waits to be restarted waits no longer.
   *
   * @returns its status once its command runs, or has run already
   * @throws MonocoreError `StartFailed` with the reason; `Aborted` when a stop came first
   */
  async start(): Promise<ServiceStatus> {
    return this.#awaitStart({ type: 'start' });
  }

  /** Starts a service that is down because its policy wants it up; otherwise like {@link Supervisor.start}. */
  async revive(reason: string): Promise<ServiceStatus> {
    return this.#awaitStart({ type: 'revive', reason });
  }

  async #awaitStart(event: MachineEvent): Promise<ServiceStatus> {
    const wasStopping = this.#state.actual.status === 'Stopping';
    this.#events.push(event);
    // A start of a stopping service begins only after the end of the run before.
    if (wasStopping) await this.#until((state) => state.status !== 'Stopping');
    const failure = whyNotStarted(await this.#until(hasBegunOrEnded));
    if (failure) throw failure;
    return this.status();
  }

  /**
   * Stops the service and waits until its process has ended and everything that it printed is in its files.
   *
   * @param timeoutMs for the graceful part; the service's own by default
   */
  async stop(timeoutMs: number = this.definition.service.stop_timeout_ms): Promise<ServiceStatus> {
    this.#events.push({ type: 'stop', timeoutMs });
    return this.ended();
  }

  /** As {@link Supervisor.stop}, because the daemon ends: the user still wants the service up. */
  async suspend(timeoutMs: number = this.definition.service.stop_timeout_ms): Promise<ServiceStatus> {
    this.#events.push({ type: 'suspend', timeoutMs });
    return this.ended();
  }

  /** Resolves when the process that may exist now does not any more; the service may have been started again then. */
  async ended(): Promise<ServiceStatus> {
    const concludedRuns = this.#concludedRuns;
    await this.#until(() => !this.active || this.#concludedRuns > concludedRuns);
    return this.status();
  }

  /**
   * Waits until the service is what another one needs of it.
   *
   * @returns why it will not be, without its name; null when it is, or when `signal` fires
   */
  async meets(condition: Condition, signal: AbortSignal): Promise<string | null> {
    const isClear = (state: VmState) => checkCondition(condition, state).type !== 'pending';
    const check = checkCondition(condition, await this.#until((state) => isClear(state) || signal.aborted, signal));
    return check.type === 'failed' ? check.failure : null;
  }

  async #resume(document: SavedState, adoption: Extract<Adoption, { type: 'running' }>): Promise<void> {
    const identity = await this.#session.adopt(adoption);
    this.#launchedAtMs = Date.parse(document.launched_at ?? document.created_at);
    const pid = document.pid ?? identity.pid;
    const { state, effects } = resume(document, this.#state, pid, this.definition.service, this.#ports.clock.now());
    this.#state = state;
    // Its process and its streams are in hand: it is supervised whatever cannot be noted.
    for (const effect of effects) await this.#perform(effect).catch((error) => this.#reportFault(effect, error));
  }

  #snapshot(): Snapshot {
    return {
      definition: this.definition,
      hindrances: this.#hindrances,
      state: this.#state,
      identity: this.#session.identity,
      metrics: this.#metrics,
      createdAtMs: this.#createdAtMs,
      launchedAtMs: this.#launchedAtMs,
      notes: this.#session.notes,
    };
  }

  /** Resolves when the state, all effects of reaching it done, fits; asks once more when `signal` fires. */
  async #until(fits: (state: VmState) => boolean, signal?: AbortSignal): Promise<VmState> {
    await this.#waiters.until(() => !this.#events.busy && fits(this.#state.actual), signal);
    return this.#state.actual;
  }

  async #handle(event: MachineEvent): Promise<void> {
    const { clock, random, onStep } = this.#ports;
    const before = this.#state.actual;
    const now = { ms: clock.now(), dice: random() };
    const { state, effects } = transition(this.#state, event, now, this.definition.service);
    this.#state = state;
    for (const effect of effects) {
      onStep?.(this.name, effect.type);
      try {
        await this.#perform(effect);
      } catch (error) {
        this.#reportFault(effect, error);
        // Nothing is launched that no later daemon could find.
        if (effect.type === 'persist' && state.actual.status === 'Starting' && state.actual.phase === 'preparing') {
          this.#events.putFirst({ type: 'launch-failed', error: `its state cannot be saved: ${errorText(error)}` });
          break;
        }
      }
    }
    this.#announce(before);
  }

  #reportFault({ type }: Effect, error: unknown): void {
    this.#ports.report('error', `${this.name}: ${type} failed: ${errorText(error)}`, { err: error });
  }

  #emitChange(): void {
    const status = this.status();
    if (!isDeepStrictEqual(status, this.#announced)) this.emit('change', status);
    this.#announced = status;
  }

  #announce(before: VmState): void {
    this.#emitChange();
    const { level, message, data } = describeChange(before, this.#state, this.#ports.clock.now());
    if (message !== null) this.#ports.report(level, `${this.name}: ${message}`, { service: this.name, ...data });
  }

  async #perform(effect: Effect): Promise<void> {
    switch (effect.type) {
      case 'persist':
        return persist(this.#document(), this.#ports);
      case 'persist-soon':
        return this.#ports.store.saveSoon(this.#document());
      case 'launch':
        this.#launchedAtMs = this.#ports.clock.now();
        // What restarts a service by its policy is no wish for a newer image.
        return void this.#session.launch((this.#state.restarts.total > 0 && this.#state.image) || null);
      case 'cancel-launch':
      case 'signal-job':
      case 'drain':
      case 'release':
      case 'kill':
        return this.#session.perform(effect);
      case 'inspect':
        return void this.#session.inspect(this.#launchedAtMs ?? this.#createdAtMs);
      case 'probe':
        return this.#prober.probe(this.#session.vm, this.#launchedAtMs ?? this.#createdAtMs);
      case 'end-probes':
        return this.#prober.end();
      case 'set-timer':
        return this.#timers.set(effect.timer, effect.delayMs);
      case 'cancel-timer':
        return this.#timers.cancel(effect.timer);
      case 'watch-metrics':
        return this.#ports.metrics.watch(this.name, effect.pid, (sample) => this.#onSample(sample));
      case 'unwatch-metrics':
        this.#metrics = NO_METRICS;
        return this.#ports.metrics.unwatch(this.name);
      case 'conclude':
        return this.#conclude();
      case 'go-on':
        return this.#events.putFirst({ type: 'again', delayMs: effect.delayMs });
    }
  }

  #document(): SavedState {
    return renderDocument(this.#snapshot(), this.#ports.clock.now());
  }

  async #conclude(): Promise<void> {
    this.#session.forget();
    this.#hindrances = UNHINDERED;
    this.#concludedRuns += 1;
    await this.#ports.backends[this.definition.service.isolation].cleanUp(this.name);
    await persist(this.#document(), this.#ports);
  }

  #onSample(sample: Metrics): void {
    if (this.#state.actual.status !== 'Started') return;
    const { memory_usage: bytes } = sample;
    const isLimited = this.definition.service.restart.max_memory_bytes !== null;
    if (bytes !== null && isLimited) this.#events.push({ type: 'memory-sampled', bytes });
    // An idle service has the same figures for hours.
    if (isDeepStrictEqual(sample, this.#metrics)) return;
    this.#metrics = sample;
    this.#ports.store.saveSoon(this.#document());
    this.#emitChange();
  }
}
