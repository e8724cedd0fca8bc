/**
 * Supervises one service: holds its state, handles its events in order and performs their effects. Main thread.
 *
 * Long because each effect is a case, and all of them share the state.
 */
import { EventEmitter } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { errorTextWithPath } from '../lib/errors.ts';
import { processAgeMs } from '../lib/proc.ts';
import { type Metrics, NO_METRICS, type ServiceStatus } from '../protocol/service.ts';
import type { SavedState } from '../protocol/state.ts';
import type { Condition } from '../protocol/supervision.ts';
import type { Adoption } from '../vm/backend.ts';
import { HealthChecker } from './health.ts';
import type { SupervisorContext } from './interfaces.ts';
import { transition } from './machine.ts';
import { EventQueue } from './queue.ts';
import { checkCondition, hasBegunOrEnded, isActive, whyNotStarted } from './readiness.ts';
import { persist, recoverAdopted, renderSavedState, restoreState } from './saved-state.ts';
import { type Effect, INITIAL_STATE, type MachineEvent, type ServiceState, type VmState } from './states.ts';
import {
  type Blocked,
  describeTransition,
  type Membership,
  membershipOf,
  NOT_BLOCKED,
  renderStatus,
  type ServiceDefinition,
} from './status.ts';
import { VmSession } from './vm-session.ts';

export class Supervisor extends EventEmitter<{ change: [ServiceStatus] }> {
  #definition: ServiceDefinition;
  readonly #context: SupervisorContext;
  readonly #createdAtMs: number;
  readonly #events = new EventQueue<MachineEvent>(
    (event) => this.#handle(event),
    () => this.#context.closing.aborted,
  );
  readonly #session: VmSession;
  readonly #health: HealthChecker;
  /** Functions that cancel the timers, by name. */
  readonly #timers = new Map<string, () => void>();
  #announced: ServiceStatus | null = null;
  #state: ServiceState;
  #metrics: Metrics = NO_METRICS;
  #blocked: Blocked = NOT_BLOCKED;
  #launchedAtMs: number | null = null;
  /** Start of the command according to {@link Clock.elapsed}; null before it. */
  #startedAt: number | null = null;
  #concludedRuns = 0;

  /** Creates the supervisor. @param initial `Unstarted`, or the end of an earlier run */
  constructor(definition: ServiceDefinition, context: SupervisorContext, initial: ServiceState = INITIAL_STATE) {
    super();
    this.#definition = definition;
    this.#context = context;
    this.#state = initial;
    this.#createdAtMs = context.clock.now();
    this.#session = new VmSession(definition, context, {
      onEvent: (event) => this.#events.push(event),
      onBlocked: (change) => this.setBlocked(change),
      onNotes: () => this.#emitChange(),
    });
    this.#health = new HealthChecker(definition.service, context.logs, (result) =>
      this.#events.push({ type: 'probed', ...result }),
    );
  }

  /**
   * Supervises a service whose VM was launched by an earlier daemon.
   *
   * @throws MonocoreError if its streams cannot be captured
   */
  static async adopt(
    definition: ServiceDefinition,
    context: SupervisorContext,
    saved: SavedState,
    adoption: Extract<Adoption, { type: 'running' }>,
  ): Promise<Supervisor> {
    const supervisor = new Supervisor(definition, context, restoreState(saved));
    const identity = await supervisor.#session.adopt(adoption);
    supervisor.#launchedAtMs = Date.parse(saved.launched_at ?? saved.created_at);
    const recovered = recoverAdopted(saved, identity, definition.service, context.clock.now());
    supervisor.#state = recovered.state;
    if (saved.started_at !== null) supervisor.#startedAt = context.clock.elapsed() - processAgeMs(identity);
    // Its process and streams have been adopted, so it stays supervised even if an effect fails.
    for (const effect of recovered.effects) {
      await supervisor.#perform(effect).catch((error) => supervisor.#reportFault(effect, error));
    }
    return supervisor;
  }

  get definition(): ServiceDefinition {
    return this.#definition;
  }

  /** Changes the project of the service without affecting its run. Logs a failure to save it. */
  async reassign(membership: Membership): Promise<void> {
    if (isDeepStrictEqual(membershipOf(this.#definition), membership)) return;
    this.#definition = { ...this.#definition, ...membership };
    this.#emitChange();
    // A service that never ran has no state file.
    if (this.#state.actual.status === 'Unstarted') return;
    await this.#perform({ type: 'persist' }).catch((error) => this.#reportFault({ type: 'persist' }, error));
  }

  get name(): string {
    return this.definition.service.name;
  }

  status(): ServiceStatus {
    return renderStatus(this.#snapshot());
  }

  get state(): ServiceState {
    return this.#state;
  }

  /** Updates the reasons for waiting, which are only shown. */
  setBlocked(change: Partial<Blocked>): void {
    this.#blocked = { ...this.#blocked, ...change };
    this.#emitChange();
  }

  get active(): boolean {
    return isActive(this.#state.actual);
  }

  /** True while it is running or starting. */
  get isUp(): boolean {
    return this.active && this.#state.actual.status !== 'Stopping';
  }

  /** True while it is up or waiting for its restart. */
  get isWantedUp(): boolean {
    const { actual } = this.#state;
    return this.isUp || (actual.status === 'Starting' && actual.phase === 'waiting');
  }

  /**
   * Starts the service; does nothing if it is up. A service that is stopping starts again after the stop; one that is
   * waiting for its restart starts at once.
   *
   * @returns its status once the command is running or has run
   * @throws MonocoreError `StartFailed` with the reason; `Aborted` if it was stopped first
   */
  async start(): Promise<ServiceStatus> {
    return this.#awaitStart({ type: 'start' });
  }

  /** Starts the service as its restart policy demands; otherwise like {@link Supervisor.start}. */
  async recover(reason: string): Promise<ServiceStatus> {
    return this.#awaitStart({ type: 'recover', reason });
  }

  async #awaitStart(event: MachineEvent): Promise<ServiceStatus> {
    const wasStopping = this.#state.actual.status === 'Stopping';
    this.#events.push(event);
    // A service that is stopping starts only after the end of its run.
    if (wasStopping) await this.#until((state) => state.status !== 'Stopping');
    const failure = whyNotStarted(await this.#until(hasBegunOrEnded));
    if (failure) throw failure;
    return this.status();
  }

  /**
   * Stops the service and waits until its process has ended and all its output is in the log files.
   *
   * @param timeoutMs for the graceful part; by default the timeout of the service
   */
  async stop(timeoutMs: number = this.definition.service.stop_timeout_ms): Promise<ServiceStatus> {
    this.#events.push({ type: 'stop', timeoutMs });
    return this.ended();
  }

  /** Stops the service because the daemon is ending; it still counts as wanted up. */
  async suspend(timeoutMs: number = this.definition.service.stop_timeout_ms): Promise<ServiceStatus> {
    this.#events.push({ type: 'suspend', timeoutMs });
    return this.ended();
  }

  /** Waits until the current process has ended; by then the service may have been started again. */
  async ended(): Promise<ServiceStatus> {
    const concludedRuns = this.#concludedRuns;
    await this.#until(() => !this.active || this.#concludedRuns > concludedRuns);
    return this.status();
  }

  /**
   * Waits until the service meets a condition of a dependent.
   *
   * @returns null when it does or when `signal` fires; otherwise the reason why it never will, without its name
   */
  async meets(condition: Condition, signal: AbortSignal): Promise<string | null> {
    const isDecided = (state: VmState) => checkCondition(condition, state) !== 'pending';
    const check = checkCondition(condition, await this.#until((state) => isDecided(state) || signal.aborted, signal));
    return typeof check === 'string' ? null : check.failure;
  }

  #snapshot() {
    return {
      definition: this.definition,
      blocked: this.#blocked,
      state: this.#state,
      identity: this.#session.vm?.identity ?? null,
      metrics: this.#metrics,
      createdAtMs: this.#createdAtMs,
      launchedAtMs: this.#launchedAtMs,
      notes: this.#session.notes,
    };
  }

  /** Waits for a state whose effects are complete; checks once more when `signal` fires. */
  async #until(fits: (state: VmState) => boolean, signal?: AbortSignal): Promise<VmState> {
    await this.#events.until(() => fits(this.#state.actual), signal);
    return this.#state.actual;
  }

  async #handle(event: MachineEvent): Promise<void> {
    const { clock, random, onStep } = this.#context;
    const before = this.#state.actual;
    const { service } = this.definition;
    const ageMs = this.#startedAt === null ? null : clock.elapsed() - this.#startedAt;
    const isLogStalled = this.#blocked.logStalled !== null;
    const now = { ms: clock.now(), ageMs, jitter: random(), isLogStalled };
    const { state, effects } = transition(this.#state, event, now, service);
    this.#state = state;
    if (before.status !== state.actual.status) this.#noteStart(state.actual);
    for (const effect of effects) {
      onStep?.(this.name, effect.type);
      try {
        await this.#perform(effect);
      } catch (error) {
        this.#reportFault(effect, error);
        // A later daemon cannot find a VM that was launched without a state file.
        if (effect.type === 'persist' && state.actual.status === 'Starting' && state.actual.phase === 'preparing') {
          this.#events.putFirst({
            type: 'launch-failed',
            error: `its state cannot be saved: ${errorTextWithPath(error)}`,
          });
          break;
        }
      }
    }
    this.#emitChange();
    const line = describeTransition(before, this.#state, this.#context.clock.now());
    if (!line) return;
    const { actual } = this.#state;
    const data = { service: this.name, status: actual.status, ...('exit' in actual && { exit: actual.exit }) };
    this.#context.report(line[0], `${this.name}: ${line[1]}`, data);
  }

  #noteStart({ status }: VmState): void {
    if (status === 'Started') this.#startedAt = this.#context.clock.elapsed();
    else if (status === 'Starting') this.#startedAt = null;
  }

  #reportFault({ type }: Effect, error: unknown): void {
    this.#context.report('error', `${this.name}: ${type} failed: ${errorTextWithPath(error)}`, { err: error });
  }

  /** Emits its status once, for a new listener. */
  announce(): void {
    this.#announced = null;
    this.#emitChange();
  }

  #emitChange(): void {
    const status = this.status();
    if (!isDeepStrictEqual(status, this.#announced)) this.emit('change', status);
    this.#announced = status;
  }

  async #perform(effect: Effect): Promise<void> {
    switch (effect.type) {
      case 'persist':
        return persist(this.savedState(), this.#context);
      case 'persist-soon':
        return this.#context.store.saveSoon(this.savedState());
      case 'launch':
        this.#launchedAtMs = this.#context.clock.now();
        // An automatic restart must not switch to a newer image.
        return void this.#session.launch((this.#state.restarts.total > 0 && this.#state.image) || null);
      case 'cancel-launch':
        return this.#session.cancelLaunch();
      case 'signal-job':
        return this.#session.vm?.signalJob(effect.signal);
      case 'drain':
        return void this.#session.drain();
      case 'release':
        return this.#session.vm?.release();
      case 'kill':
        return this.#session.vm?.kill(effect.signal);
      case 'examine':
        return this.#session.examine();
      case 'hurry':
        return this.#session.hurry();
      case 'inspect':
        return void this.#session.inspect(this.#launchedAtMs ?? this.#createdAtMs);
      case 'probe':
        return this.#health.probe(this.#session.vm, this.#launchedAtMs ?? this.#createdAtMs);
      case 'end-probes':
        return this.#health.end();
      case 'set-timer':
        return this.#setTimer(effect);
      case 'cancel-timer':
        return this.#timers.get(effect.timer)?.();
      case 'watch-metrics':
        return this.#context.metrics.watch(this.name, effect.pid, (sample) => this.#onSample(sample));
      case 'unwatch-metrics':
        this.#metrics = NO_METRICS;
        return this.#context.metrics.unwatch(this.name);
      case 'conclude':
        return this.#conclude();
      case 'schedule-restart':
        return this.#events.putFirst(
          effect.delayMs === 0 ? { type: 'restart-due' } : { ...effect, type: 'restart-scheduled' },
        );
    }
  }

  /** Starts a timer, replacing the running one of the same name. */
  #setTimer({ timer: type, delayMs }: Extract<Effect, { type: 'set-timer' }>): void {
    this.#timers.get(type)?.();
    const cancel = this.#context.clock.after(delayMs, () => this.#events.push({ type }));
    this.#timers.set(type, cancel);
  }

  /** Content of its state file. */
  savedState(): SavedState {
    return renderSavedState(this.#snapshot(), this.#context.clock.now());
  }

  async #conclude(): Promise<void> {
    this.#session.forget();
    this.#blocked = NOT_BLOCKED;
    this.#concludedRuns += 1;
    await this.#context.backends[this.definition.service.isolation].cleanUp(this.name);
    await persist(this.savedState(), this.#context);
  }

  #onSample(sample: Metrics): void {
    if (this.#state.actual.status !== 'Started') return;
    const { memory_usage: bytes } = sample;
    const { max_memory_bytes: maxBytes } = this.definition.service.restart;
    if (bytes !== null && maxBytes !== null) this.#events.push({ type: 'memory-sampled', bytes });
    if (isDeepStrictEqual(sample, this.#metrics)) return; // An idle service has equal samples for hours.
    this.#metrics = sample;
    this.#context.store.saveSoon(this.savedState());
    this.#emitChange();
  }
}
