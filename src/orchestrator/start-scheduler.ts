/** Scheduler of starts: in the order of dependencies, and as many at once as the host can bear. */
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
 * Starts of plain processes at once. Each costs a fork, not a boot, so others are forked while some wait for a disk; more
 * than this gain nothing, and keep the main thread busy for longer at a stretch.
 */
const CONCURRENT_PROCESS_STARTS = 64;

/** A start that may wait for dependencies, for another start of the service, or for a slot. */
interface PendingStart {
  readonly definition: ServiceDefinition;
  /** Aborted by a stop. */
  readonly cancel: AbortController;
}

interface StartResult {
  readonly outcome: ServiceOutcome;
  /** Predicate for dependent services: `failed: …`, or the chain that led there; null when the service may be used. */
  readonly blame: string | null;
}

/** Main thread. */
export class StartScheduler {
  readonly #context: OrchestratorContext;
  readonly #registry: Registry;
  readonly #processSlots = new StartSlots({
    slots: CONCURRENT_PROCESS_STARTS,
    freeBytes: () => Number.POSITIVE_INFINITY,
  });
  readonly #pending = new Set<PendingStart>();
  /** By service: two starts at once would each launch a VM of that name, a start in a removal one that is forgotten. */
  readonly #limits = new Map<string, LimitFunction>();

  constructor(context: OrchestratorContext, registry: Registry) {
    this.#context = context;
    this.#registry = registry;
  }

  /**
   * Starts services, each once its dependencies meet their conditions. Resolves with all outcomes, sorted by name.
   *
   * @param restartReason reason of starts that count as restarts; null for starts that a user asked for
   */
  async run(definitions: readonly ServiceDefinition[], restartReason: string | null): Promise<ServiceOutcome[]> {
    const starts = new Map<string, PendingStart>();
    for (const definition of definitions) {
      starts.set(definition.service.name, { definition, cancel: new AbortController() });
      // Registered at once, so that a stop finds the services that wait, too.
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
        // A service that never ran has no end that would tell the reason.
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

  /** Runs an action while no start of the service is in progress; later starts wait for it. */
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
    // Another start may have replaced the supervisor that `run` installed.
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
    // One that waits to be restarted would run beside the new one.
    if (!isSame) await known.stop();
    const supervisor = isSame ? known : this.#registry.install(definition);
    try {
      // A service on its way up has its slot already.
      if (isKept) await supervisor.start();
      else await this.#startInSlot(supervisor, restartReason, signal);
      return { outcome: succeeded(supervisor, !isKept), blame: null };
    } catch (error) {
      // Its process, and with it the lines that explain the failure, may still be on their way out.
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
    // A VM with an image takes its slot once it has the image: a download must not keep others from booting.
    const freeSlot = images && image !== null ? () => {} : await slots.take(ram_mib, setQueued);
    try {
      setQueued(null);
      if (signal.aborted) throw new MonocoreError('Aborted', CANCELLED);
      await (restartReason === null ? supervisor.start() : supervisor.recover(restartReason));
    } finally {
      freeSlot();
    }
  }

  /** Null once all conditions are met; else the reason as a predicate: `depends on db, which failed: …`. */
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
