/** Starts of many services: in the order of their dependencies, as many at once as the host can bear. */

import { isDeepStrictEqual } from 'node:util';
import pLimit, { type LimitFunction } from 'p-limit';
import { errorText, MonocoreError } from '../lib/errors.ts';
import type { ServiceOutcome } from '../protocol/api.ts';
import { capabilitiesOf } from '../protocol/isolation.ts';
import type { Dependency, Service } from '../protocol/service.ts';
import type { OrchestratorContext } from '../supervisor/interfaces.ts';
import { StartSlots } from '../supervisor/start-slots.ts';
import type { ServiceDefinition } from '../supervisor/status.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';
import { runInOrder } from './dependencies.ts';
import { byName, CALLED_OFF, calledOff, failed, succeeded } from './outcomes.ts';
import { type KnownService, planStart } from './plan.ts';
import type { Registry } from './registry.ts';

/**
 * A plain process costs a fork, not a boot. While some of them wait for a disk, others are forked; beyond this many at
 * once nothing is gained, and the main thread has more to do in a row.
 */
const CONCURRENT_PROCESS_STARTS = 64;

/** A start that may wait: for what the service depends on, for its turn, for a slot. */
interface PendingStart {
  readonly definition: ServiceDefinition;
  /** Aborted by a stop that came meanwhile. */
  readonly callOff: AbortController;
}

/** How a start went; `blame` is for those who depend on the service: `failed: …`, or the chain that led there. */
interface StartResult {
  readonly outcome: ServiceOutcome;
  readonly blame: string | null;
}

/** Why services are started: for the policy of each it counts as a restart. */
export type StartCause = { readonly type: 'asked' } | { readonly type: 'policy'; readonly reason: string };

/** Main thread. */
export class Starts {
  readonly #ports: OrchestratorContext;
  readonly #registry: Registry;
  readonly #processStarts = new StartSlots({ slots: CONCURRENT_PROCESS_STARTS, freeBytes: null });
  readonly #pending = new Set<PendingStart>();
  /** By service: two starts at once would each launch a VM of that name. */
  readonly #turns = new Map<string, LimitFunction>();

  constructor(ports: OrchestratorContext, registry: Registry) {
    this.#ports = ports;
    this.#registry = registry;
  }

  /** Starts services, each when those that it depends on are what it needs of them. Resolves with the outcome of each. */
  async run(definitions: readonly ServiceDefinition[], cause: StartCause): Promise<ServiceOutcome[]> {
    const starts = new Map<string, PendingStart>();
    for (const definition of definitions) {
      starts.set(definition.service.name, { definition, callOff: new AbortController() });
      // Known from now on, so that a stop finds those, too, that have to wait.
      if (!this.#registry.get(definition.service.name)) this.#registry.install(definition);
    }
    for (const start of starts.values()) {
      this.#pending.add(start);
      this.#noteDependencies(start.definition);
    }
    try {
      const results = await runInOrder<StartResult>(
        [...starts.keys()],
        (name) => starts.get(name)!.definition.service.depends_on.map(({ service }) => service),
        (name, before) => this.#turnOf(name)(() => this.#startOne(starts.get(name)!, before, cause)),
      );
      return [...results.values()].map(({ outcome }) => outcome).sort((a, b) => byName(a.service, b.service));
    } finally {
      for (const [name, start] of starts) {
        this.#pending.delete(start);
        this.#registry.get(name)?.hinder({ queued: null });
      }
    }
  }

  /** What of these services waits for its start does not start any more. */
  callOff(names: ReadonlySet<string>): void {
    for (const { definition, callOff } of this.#pending) if (names.has(definition.service.name)) callOff.abort();
  }

  #noteDependencies({ service }: ServiceDefinition): void {
    const known = this.#registry.get(service.name);
    if (!known || isUp(known) || service.depends_on.length === 0) return;
    const names = new Set(service.depends_on.map((dependency) => dependency.service));
    known.hinder({ queued: `waits for ${[...names].join(', ')}` });
  }

  #turnOf(name: string): LimitFunction {
    const known = this.#turns.get(name);
    if (known) return known;
    const turn = pLimit(1);
    this.#turns.set(name, turn);
    return turn;
  }

  async #startOne(
    { definition, callOff }: PendingStart,
    before: ReadonlyMap<string, StartResult>,
    cause: StartCause,
  ): Promise<StartResult> {
    const { name } = definition.service;
    const { signal } = callOff;
    const startedAtMs = this.#ports.clock.now();
    // There is one since the start was asked for; another may have taken its place.
    const known = this.#registry.get(name) ?? this.#registry.install(definition);
    if (signal.aborted) return blameless(calledOff(known));
    const blame = await this.#awaitDependencies(definition.service.depends_on, before, signal);
    if (signal.aborted) return blameless(calledOff(known));
    if (blame) return { outcome: failed(known, `not started: it ${blame}`), blame };

    const isKept = planStart(describeKnown(known), definition).action === 'keep';
    // One that has ended may still be noting its end.
    if (known.active && !isKept) await known.stop();
    if (signal.aborted) return blameless(calledOff(known));
    const isSame = isDeepStrictEqual(known.definition, definition);
    const supervisor = isSame ? known : await this.#replace(known, definition);
    try {
      // One that is on its way has its place already.
      if (isKept) await supervisor.start();
      else {
        const wait = (queued: string | null) => supervisor.hinder({ queued });
        await this.#inTurn(definition.service, wait, () => {
          wait(null);
          if (signal.aborted) throw new MonocoreError('Aborted', CALLED_OFF);
          return cause.type === 'asked' ? supervisor.start() : supervisor.revive(cause.reason);
        });
      }
      return blameless(succeeded(supervisor, !isKept));
    } catch (error) {
      // Its process may still be on its way out, and with it the lines that say why.
      await supervisor.ended();
      const lastLines = await this.#ports.lastLines(supervisor.name, startedAtMs).catch(() => []);
      return { outcome: failed(supervisor, errorText(error), lastLines), blame: `failed: ${errorText(error)}` };
    }
  }

  /** A VM with an image takes its turn to boot when it has that: a download must not keep others from booting. */
  #inTurn<T>(
    { isolation, image, ram_mib }: Service,
    onWait: (reason: string) => void,
    start: () => Promise<T>,
  ): Promise<T> {
    const { guest, images } = capabilitiesOf(isolation);
    if (images && image !== null) return start();
    const gate = guest ? this.#ports.boots : this.#processStarts;
    return gate.run(ram_mib, onWait, start);
  }

  /** One that waits to be restarted would run beside the new one. */
  async #replace(known: Supervisor, definition: ServiceDefinition): Promise<Supervisor> {
    await known.stop();
    return this.#registry.install(definition);
  }

  /** Null when all of them are what is needed; else why not, as a predicate: `depends on db, which failed: …`. */
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

/** A service as a plan takes it. */
export function describeKnown(supervisor: Supervisor): KnownService {
  const { definition, state } = supervisor;
  return { definition, isUp: isUp(supervisor), isNew: state.actual.status === 'Unstarted' };
}

/** Whether it runs or is on its way there. */
export function isUp(supervisor: Supervisor): boolean {
  return supervisor.active && supervisor.state.actual.status !== 'Stopping';
}

/** Whether it is up, or comes up by itself: one that waits to be restarted has no process, and will have one. */
export function isWantedUp(supervisor: Supervisor): boolean {
  const { actual } = supervisor.state;
  return isUp(supervisor) || (actual.status === 'Starting' && actual.phase === 'waiting');
}

function blameless(outcome: ServiceOutcome): StartResult {
  return { outcome, blame: outcome.outcome === 'failed' ? `was not started: ${outcome.error}` : null };
}
