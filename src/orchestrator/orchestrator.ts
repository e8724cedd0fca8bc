/** Many services: which are to be started and stopped, and in which order. */
import { EventEmitter } from 'node:events';
import { errorText, MonocoreError } from '../lib/errors.ts';
import type { CommandReply, ControlEvent, PlanReply, Selection, ServiceOutcome } from '../protocol/api.ts';
import { select } from '../protocol/selection.ts';
import type { Config, ServiceStatus } from '../protocol/service.ts';
import type { OrchestratorContext } from '../supervisor/interfaces.ts';
import { startsWithDaemon } from '../supervisor/restart-policy.ts';
import type { ServiceDefinition } from '../supervisor/status.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';
import { buildGraph, runInOrder } from './dependencies.ts';
import { type Merge, mergeConfig } from './merge.ts';
import { Groups } from './networks.ts';
import { byName, failed, succeeded } from './outcomes.ts';
import { planStart } from './plan.ts';
import { type Leftovers, takeOver } from './recovery.ts';
import { Registry } from './registry.ts';
import { Rollback } from './rollback.ts';
import { describeKnown, isWantedUp, type StartCause, Starts } from './start-scheduler.ts';
import { UnderWay } from './under-way.ts';

const EVERYTHING: Selection = { names: [], group: null };

/** How a config is merged into what is known. */
export interface StartOptions {
  /** What runs and is not in the config is stopped: of the selected group, else all. */
  readonly prune?: boolean;
  /** When one fails, all that was changed is put back. By default nothing is undone. */
  readonly atomic?: boolean;
}

/** Supervises the services of one home. Emits every change of a service, in order. Main thread. */
export class Orchestrator extends EventEmitter<{ event: [ControlEvent] }> {
  readonly #ports: OrchestratorContext;
  readonly #registry: Registry;
  readonly #starts: Starts;
  readonly #groups: Groups;
  readonly #underWay = new UnderWay();
  #ending = false;

  constructor(ports: OrchestratorContext) {
    super();
    this.#ports = ports;
    this.#registry = new Registry(ports);
    this.#groups = new Groups(ports.network);
    this.#starts = new Starts(ports, this.#registry);
    this.#registry.on('event', (event) => this.emit('event', event));
  }

  /**
   * An orchestrator that knows what an earlier one of this home left: services that ended, and VMs that run on, which
   * are supervised again. What should be up by its restart policy is started; that goes on when this has resolved.
   *
   * @param startsAll whether services that the user had stopped start, too, where their policy is `always`
   */
  static async open(ports: OrchestratorContext & Leftovers, { startsAll = false } = {}): Promise<Orchestrator> {
    const orchestrator = new Orchestrator(ports);
    await takeOver(ports, orchestrator.#registry, orchestrator.#groups);
    orchestrator.#startByPolicy(startsAll);
    return orchestrator;
  }

  #startByPolicy(startsAll: boolean): void {
    const due = this.#registry
      .all()
      .filter(({ state, definition }) => startsWithDaemon(definition.service.restart.when, state, startsAll));
    if (due.length === 0) return;
    const cause = { type: 'policy', reason: 'the daemon was started' } as const;
    const definitions = due.map(({ definition }) => definition);
    this.#run(definitions, cause).catch((error: unknown) => {
      this.#ports.report('error', `services cannot be started again: ${errorText(error)}`);
    });
  }

  /** Every known service, sorted by name. */
  services(): ServiceStatus[] {
    return this.#registry
      .all()
      .map((supervisor) => supervisor.status())
      .sort(byName);
  }

  /**
   * Merges a config into what is known, and starts its selected services and what they depend on. One that runs already
   * is left alone, or restarted when its definition or its group's differs. What the config does not have goes on.
   *
   * @throws MonocoreError `ServiceUnknown` for a name that the config does not have, `Usage` for names with `prune`,
   * `StartFailed` for a port that two services claim and for a group without an address; nothing is started then
   */
  async start(
    config: Config,
    selection: Selection = EVERYTHING,
    { prune = false, atomic = false }: StartOptions = {},
  ): Promise<CommandReply> {
    let isOver = () => {};
    try {
      const { definitions, surplus } = this.#merge(config, selection, prune);
      const surplusNames = surplus.map(({ name }) => name);
      const touched = [...definitions.map(({ service }) => service.name), ...surplusNames];
      const rollback = atomic ? new Rollback(this.#registry, touched) : null;
      isOver = this.#underWay.add(definitions, rollback?.before);
      this.#ports.limitLogs(config.logs);
      this.#ports.images.configure(config.images);
      this.#groups.shareNames();
      // First, because what starts may need their ports.
      const stopped = await this.#stopNamed(surplusNames);
      const outcomes = [...stopped, ...(await this.#startInOrder(definitions))];
      if (!rollback || outcomes.every(({ outcome }) => outcome !== 'failed')) return { services: outcomes };
      const stop = (names: string[]) => this.#stopNamed(names);
      return { services: await rollback.run(outcomes, stop, (due) => this.#startInOrder(due)) };
    } finally {
      isOver();
      this.#freePlaces();
    }
  }

  /** What {@link Orchestrator.start} would do, in order. Throws as it does. */
  plan(config: Config, selection: Selection = EVERYTHING, { prune = false }: StartOptions = {}): PlanReply {
    try {
      const { definitions, surplus } = this.#merge(config, selection, prune);
      const stops = surplus.map(({ name }) => ({ name, action: 'stop', reason: 'not in the config' }) as const);
      const starts = definitions.map((definition) => {
        const { name } = definition.service;
        const known = this.#registry.get(name);
        return { name, ...planStart(known ? describeKnown(known) : null, definition) };
      });
      return { actions: [...stops, ...starts] };
    } finally {
      this.#freePlaces();
    }
  }

  /**
   * Stops services, those first that depend on others.
   *
   * @param timeoutMs for the graceful part; null for each service's own
   */
  async stop(selection: Selection = EVERYTHING, timeoutMs: number | null = null): Promise<CommandReply> {
    const supervisors = this.#selectToStop(selection);
    const outcomes = await this.#inReverseOrder(supervisors, async (supervisor) => {
      const changes = supervisor.active || isWantedUp(supervisor);
      await supervisor.stop(timeoutMs ?? undefined);
      return succeeded(supervisor, changes);
    });
    return { services: outcomes };
  }

  /**
   * Stops everything, and refuses to start anything from then on. Once more shortens a stop that is under way.
   *
   * @param suspend whether services count as wanted up: the next daemon starts them again where their policy says so
   * @param timeoutMs as for {@link Orchestrator.stop}
   */
  async end({
    suspend = false,
    timeoutMs = null,
  }: {
    suspend?: boolean;
    timeoutMs?: number | null;
  } = {}): Promise<void> {
    this.#ending = true;
    if (!suspend) {
      await this.stop(EVERYTHING, timeoutMs);
      return;
    }
    await this.#inReverseOrder(this.#selectToStop(EVERYTHING), async (supervisor) => {
      await supervisor.suspend(timeoutMs ?? undefined);
      return succeeded(supervisor, true);
    });
  }

  /** Stops services and starts them again as they were, or as another command has made them meanwhile. */
  async restart(selection: Selection = EVERYTHING, timeoutMs: number | null = null): Promise<CommandReply> {
    const supervisors = this.#select(selection);
    const names = supervisors.map(({ name }) => name);
    const isOver = this.#underWay.add(supervisors.map(({ definition }) => definition));
    try {
      await this.stop({ names, group: null }, timeoutMs);
      const definitions = names.flatMap((name) => this.#registry.get(name)?.definition ?? []);
      return { services: await this.#startInOrder(definitions) };
    } finally {
      isOver();
      this.#freePlaces();
    }
  }

  /** Stops services and forgets them, their log files and disks included. */
  async remove(selection: Selection = EVERYTHING, timeoutMs: number | null = null): Promise<CommandReply> {
    const supervisors = this.#selectToStop(selection);
    const outcomes = await this.#inReverseOrder(supervisors, async (supervisor) => {
      await supervisor.stop(timeoutMs ?? undefined);
      try {
        await this.#ports.removeLogs(supervisor.name);
        // Its isolation may have changed in its life.
        for (const backend of Object.values(this.#ports.backends)) await backend.removeData(supervisor.name);
        await this.#ports.store.remove(supervisor.name);
      } catch (error) {
        return failed(supervisor, errorText(error));
      }
      this.#registry.delete(supervisor.name);
      return succeeded(supervisor, true);
    });
    this.#freePlaces();
    return { services: outcomes };
  }

  #merge(config: Config, selection: Selection, prune: boolean): Merge {
    return mergeConfig(config, selection, prune, {
      supervisors: this.#registry.all(),
      holders: this.#underWay.holders(),
      placeOf: (service, group) => this.#groups.place(service, group),
    });
  }

  async #startInOrder(definitions: readonly ServiceDefinition[]): Promise<ServiceOutcome[]> {
    if (this.#ending) throw new MonocoreError('Aborted', 'the daemon is ending');
    return this.#run(definitions, { type: 'asked' });
  }

  async #run(definitions: readonly ServiceDefinition[], cause: StartCause): Promise<ServiceOutcome[]> {
    const isOver = this.#underWay.add(definitions);
    try {
      return await this.#starts.run(definitions, cause);
    } finally {
      isOver();
    }
  }

  /** No names are no services here. */
  async #stopNamed(names: string[]): Promise<readonly ServiceOutcome[]> {
    return names.length === 0 ? [] : (await this.stop({ names, group: null })).services;
  }

  #select(selection: Selection): Supervisor[] {
    const services = this.#registry.all().map(({ definition }) => definition.service);
    return select(services, selection, 'the daemon').map(({ name }) => this.#registry.get(name)!);
  }

  /** Like {@link Orchestrator.#select}; what is selected and waits for its start does not start any more. */
  #selectToStop(selection: Selection): Supervisor[] {
    const supervisors = this.#select(selection);
    this.#starts.callOff(new Set(supervisors.map(({ name }) => name)));
    return supervisors;
  }

  async #inReverseOrder(
    supervisors: readonly Supervisor[],
    action: (supervisor: Supervisor) => Promise<ServiceOutcome>,
  ): Promise<ServiceOutcome[]> {
    const graph = buildGraph(this.#registry.all().map(({ definition }) => definition.service));
    const selected = new Map(supervisors.map((supervisor) => [supervisor.name, supervisor]));
    const outcomes = await runInOrder(
      [...selected.keys()],
      (name) => graph.directDependentsOf(name),
      // It may have been replaced by a start, or removed, while others were stopped.
      (name) => action(this.#registry.get(name) ?? selected.get(name)!),
    );
    return [...outcomes.values()].sort((a, b) => byName(a.service, b.service));
  }

  /** Places of what is not known, or not any more, are for others. */
  #freePlaces(): void {
    const known = this.#registry.all().map(({ definition }) => definition);
    this.#groups.keepOnly([...this.#underWay.definitions(), ...known]);
  }
}
