/** Schedules starts in the order of dependencies, with limits on how many run at once. */
import pLimit, { type LimitFunction } from 'p-limit';
import { errorTextWithPath, MonocoreError } from '../lib/errors.ts';
import type { ServiceOutcome } from '../protocol/api.ts';
import { capabilitiesOf } from '../protocol/isolation.ts';
import { compareNames } from '../protocol/selection.ts';
import type { Dependency } from '../protocol/supervision.ts';
import type { OrchestratorContext } from '../supervisor/interfaces.ts';
import { StartSlots } from '../supervisor/start-slots.ts';
import { membershipOf, type ServiceDefinition } from '../supervisor/status.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';
import { runInOrder } from './dependencies.ts';
import { planStart } from './plan.ts';
import { CANCELLED, failed, type Registry, succeeded } from './registry.ts';
import { isSameDefinition } from './service-diff.ts';

/**
 * Maximum number of plain processes that are started at once. Each costs a fork, not a boot, so some can be forked
 * while others wait for a disk; more would gain nothing and keep the main thread busy for longer.
 */
const CONCURRENT_PROCESS_STARTS = 64;

/** Start that may be waiting for dependencies, for another start of the service, or for a slot. */
interface PendingStart {
  readonly definition: ServiceDefinition;
  /** Aborted by a stop. */
  readonly cancel: AbortController;
}

interface StartResult {
  readonly outcome: ServiceOutcome;
  /**
   * Why dependents must not use the service, as a predicate: `failed: …`, or the chain of dependencies that led to it;
   * null if they may use it.
   */
  readonly blame: string | null;
}

/** Scheduler of starts. Main thread. */
export class StartScheduler {
  readonly #context: OrchestratorContext;
  readonly #registry: Registry;
  readonly #processSlots = new StartSlots({
    slots: CONCURRENT_PROCESS_STARTS,
    freeBytes: () => Number.POSITIVE_INFINITY,
  });
  readonly #pending = new Set<PendingStart>();
  /**
   * Mutual exclusion by service: two starts at once would each launch a VM of that name, and a start during a removal
   * would be forgotten.
   */
  readonly #limits = new Map<string, LimitFunction>();

  constructor(context: OrchestratorContext, registry: Registry) {
    this.#context = context;
    this.#registry = registry;
  }

  /**
   * Starts services, each once its dependencies meet their conditions. Resolves with all outcomes, sorted by name.
   *
   * @param restartReason reason for starts that count as restarts; null for starts that a user requested
   */
  async run(definitions: readonly ServiceDefinition[], restartReason: string | null): Promise<ServiceOutcome[]> {
    const starts = new Map<string, PendingStart>();
    for (const definition of definitions) {
      starts.set(definition.service.name, { definition, cancel: new AbortController() });
      // Registered at once, so that a stop also finds the services that are waiting.
      if (!this.#registry.get(definition.service.name)) this.#registry.install(definition);
    }
    for (const start of starts.values()) {
      this.#pending.add(start);
      this.#showDependencies(start.definition);
    }
    let results: ReadonlyMap<string, StartResult> | undefined;
    try {
      results = await runInOrder<StartResult>(
        [...starts.keys()],
        (name) => starts.get(name)!.definition.service.depends_on.map(({ service }) => service),
        (name, before) => this.limitOf(name)(() => this.#startOne(starts.get(name)!, before, restartReason)),
      );
      return [...results.values()].map(({ outcome }) => outcome).sort((a, b) => compareNames(a.service, b.service));
    } finally {
      for (const [name, start] of starts) {
        this.#pending.delete(start);
        const outcome = results?.get(name)?.outcome;
        // A service that never ran has no end to give the reason.
        const queued = outcome?.service.status === 'Unstarted' ? outcome.error : null;
        this.#registry.get(name)?.setBlocked({ queued });
      }
    }
  }

  /** Cancels pending starts of these services. */
  cancel(names: ReadonlySet<string>): void {
    for (const { definition, cancel } of this.#pending) if (names.has(definition.service.name)) cancel.abort();
  }

  #showDependencies({ service }: ServiceDefinition): void {
    const known = this.#registry.get(service.name);
    if (!known || known.isUp || service.depends_on.length === 0) return;
    const names = new Set(service.depends_on.map((dependency) => dependency.service));
    known.setBlocked({ queued: `waiting for ${[...names].join(', ')}` });
  }

  /** Limiter that runs an action while no start of the service is in progress; later starts wait for it. */
  limitOf(name: string): LimitFunction {
    const limit = this.#limits.get(name) ?? pLimit(1);
    this.#limits.set(name, limit);
    return limit;
  }

  async #startOne(
    { definition, cancel: { signal } }: PendingStart,
    before: ReadonlyMap<string, StartResult>,
    restartReason: string | null,
  ): Promise<StartResult> {
    const { name } = definition.service;
    const startedAtMs = this.#context.clock.now();
    // Another start may have replaced the supervisor that `run` registered.
    const known = this.#registry.get(name) ?? this.#registry.install(definition);
    if (signal.aborted) return cancelled(known);
    const blame = await this.#awaitDependencies(definition.service.depends_on, before, signal);
    if (signal.aborted) return cancelled(known);
    if (blame) return { outcome: failed(known, `it ${blame}`), blame };

    const isKept = planStart(known, definition).action === 'keep';
    // A service that has ended may still be saving its end.
    if (known.active && !isKept) await known.stop();
    if (signal.aborted) return cancelled(known);
    const isSame = isSameDefinition(known.definition, definition);
    if (isSame) await known.reassign(membershipOf(definition));
    // A service that is waiting for its restart would run beside the new one.
    if (!isSame) await known.stop();
    const supervisor = isSame ? known : this.#registry.install(definition);
    try {
      // A service that is already starting has its slot.
      if (isKept) await supervisor.start();
      else await this.#startInSlot(supervisor, restartReason, signal);
      return { outcome: succeeded(supervisor, !isKept), blame: null };
    } catch (error) {
      // Its process, and the output that explains the failure, may not have ended yet.
      await supervisor.ended();
      const lastLines = await this.#context.lastLines(supervisor.name, startedAtMs).catch(() => []);
      return { outcome: failed(supervisor, errorTextWithPath(error), lastLines), blame: 'failed' };
    }
  }

  async #startInSlot(supervisor: Supervisor, restartReason: string | null, signal: AbortSignal): Promise<void> {
    const setQueued = (queued: string | null) => supervisor.setBlocked({ queued });
    const { isolation, image, ram_mib } = supervisor.definition.service;
    const { guest, images } = capabilitiesOf(isolation);
    const slots = guest ? this.#context.bootSlots : this.#processSlots;
    // A VM with an image takes its slot only once the image is ready, so that a download does not keep others from
    // booting.
    const freeSlot = images && image !== null ? () => {} : await slots.take(ram_mib, setQueued);
    try {
      setQueued(null);
      if (signal.aborted) throw new MonocoreError('Aborted', CANCELLED);
      await (restartReason === null ? supervisor.start() : supervisor.recover(restartReason));
    } finally {
      freeSlot();
    }
  }

  /**
   * Waits for the dependencies. Null once all conditions are met; otherwise the reason as a predicate: `depends on db,
   * which failed: …`.
   */
  async #awaitDependencies(
    dependencies: readonly Dependency[],
    before: ReadonlyMap<string, StartResult>,
    signal: AbortSignal,
  ): Promise<string | null> {
    for (const { service, condition } of dependencies) {
      const blame = before.get(service)?.blame ?? (await this.#registry.get(service)?.meets(condition, signal)) ?? null;
      if (blame !== null) return `depends on ${service}, which ${blame}`;
    }
    return null;
  }
}

function cancelled(supervisor: Supervisor): StartResult {
  return { outcome: failed(supervisor, CANCELLED), blame: `was not started: ${CANCELLED}` };
}
