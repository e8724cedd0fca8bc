/** Commands on the services of a home: start, stop, restart, remove. Long because each of them is a method. */
import { EventEmitter } from 'node:events';
import { errorText, errorTextWithPath, MonocoreError } from '../lib/errors.ts';
import type { CommandReply, ControlEvent, PlanReply, Selection, ServiceOutcome } from '../protocol/api.ts';
import { compareNames, select } from '../protocol/selection.ts';
import type { Config, ServiceStatus } from '../protocol/service.ts';
import type { OrchestratorContext } from '../supervisor/interfaces.ts';
import { startsWithDaemon } from '../supervisor/restart-policy.ts';
import { membershipOf, type ServiceDefinition } from '../supervisor/status.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';
import { buildGraph, runInOrder } from './dependencies.ts';
import { HomeSettings } from './home-settings.ts';
import { Groups } from './networks.ts';
import { type DiskMove, type Merge, mergeConfig, planStart } from './plan.ts';
import { UnfinishedStarts } from './port-claims.ts';
import { type Leftovers, recover } from './recovery.ts';
import { failed, Registry, succeeded } from './registry.ts';
import { recordBefore, rollBack } from './rollback.ts';
import { StartScheduler } from './start-scheduler.ts';

const EVERYTHING: Selection = { names: [], group: null };

interface StartOptions {
  /** Stops running services of the project that the config no longer declares: those of the selected group, or all. */
  readonly prune?: boolean;
  /** Restores all changed services if one fails. By default nothing is undone. */
  readonly atomic?: boolean;
  /** Moves services of other projects into the project of the config if a service to start has the same name. */
  readonly takeOver?: boolean;
}

/** Supervises the services of a home. Emits every change of a service, in order. Main thread. */
export class Orchestrator extends EventEmitter<{ event: [ControlEvent] }> {
  readonly #context: OrchestratorContext;
  readonly #registry: Registry;
  readonly #scheduler: StartScheduler;
  readonly #groups: Groups;
  readonly #home: HomeSettings;
  readonly #unfinished = new UnfinishedStarts();
  #ending = false;

  constructor(context: OrchestratorContext) {
    super();
    this.#context = context;
    this.#registry = new Registry(context, (event) => this.emit('event', event));
    this.#groups = new Groups(context.network);
    this.#home = new HomeSettings(context);
    this.#scheduler = new StartScheduler(context, this.#registry);
  }

  /**
   * Opens an orchestrator with the services of an earlier daemon: adopts the VMs that are still running, and starts
   * services as their restart policy demands. These starts may continue after this resolves.
   *
   * @param startsAll true: also starts services with the policy `always` that the user had stopped
   */
  static async open(context: OrchestratorContext & Leftovers, { startsAll = false } = {}): Promise<Orchestrator> {
    const orchestrator = new Orchestrator(context);
    await recover(context, orchestrator.#registry, orchestrator.#groups);
    orchestrator.#startByPolicy(startsAll);
    return orchestrator;
  }

  #startByPolicy(startsAll: boolean): void {
    const due = this.#registry
      .all()
      .filter(({ state, definition }) =>
        startsWithDaemon(definition.service.restart.when, state, startsAll && !definition.undeclared),
      );
    if (due.length === 0) return;
    const definitions = due.map(({ definition }) => definition);
    this.#run(definitions, 'the daemon was started').catch((error: unknown) => {
      this.#context.report('error', `services cannot be started again: ${errorText(error)}`);
    });
  }

  /** Status of every known service, sorted by name. */
  services(): ServiceStatus[] {
    const services = this.#registry.all().map((supervisor) => supervisor.status());
    return services.sort(compareNames);
  }

  /**
   * Merges a config into the known services, and starts its selected services and their dependencies. A running service
   * is restarted if its definition or its group has changed, and left alone otherwise. Services that the config does
   * not declare keep running, except for excess replicas.
   *
   * @throws MonocoreError before anything is started: `ServiceUnknown` for a name that is not in the config, `Usage`
   * for names together with `prune`, `NameTaken` if another project uses the name of a service or group, `StartFailed`
   * if two services claim the same port or no address is free for a group
   */
  async start(
    config: Config,
    selection: Selection = EVERYTHING,
    { atomic = false, ...options }: StartOptions = {},
  ): Promise<CommandReply> {
    let end = () => {};
    try {
      const { definitions, surplus, moves, notes: diskNotes } = this.#merge(config, selection, options);
      const surplusNames = surplus
        .filter(({ supervisor }) => supervisor.isWantedUp)
        .map(({ supervisor }) => supervisor.name);
      const touched = [...definitions.map(({ service }) => service.name), ...surplusNames];
      const before = atomic ? recordBefore(this.#registry, touched) : [];
      end = this.#unfinished.add(definitions, before);
      this.#home.apply(config);
      const notes = this.#notes(config, diskNotes);
      this.#groups.shareMembers();
      // First, because services that start may need their ports.
      const stopped = await this.#stopNamed(surplusNames);
      const moved = await this.#moveDisks(moves);
      for (const { supervisor } of surplus) {
        const { project } = membershipOf(supervisor.definition);
        await this.#registry.get(supervisor.name)?.reassign({ project, undeclared: true });
      }
      const outcomes = [...stopped, ...(await this.#startInOrder(definitions))];
      if (!atomic || outcomes.every(({ outcome }) => outcome !== 'failed')) return { services: outcomes, ...notes };
      const stop = (names: string[]) => this.#stopNamed(names);
      const start = async (due: ServiceDefinition[]) => {
        await this.#moveDisks(moved.map(({ from, to, isolation }) => ({ from: to, to: from, isolation })));
        return this.#startInOrder(due);
      };
      return { services: await rollBack(this.#registry, before, outcomes, stop, start), ...notes };
    } finally {
      end();
      this.#freePlaces();
      this.#forgetProjects();
    }
  }

  /** Actions that {@link Orchestrator.start} would take, in order. Throws like it. */
  plan(config: Config, selection: Selection = EVERYTHING, options: Omit<StartOptions, 'atomic'> = {}): PlanReply {
    try {
      const { definitions, surplus, moves, notes } = this.#merge(config, selection, options);
      const stops = surplus
        .filter(({ supervisor }) => supervisor.isWantedUp)
        .map(({ supervisor: { name }, reason }) => ({ name, action: 'stop', reason }) as const);
      const starts = definitions.map((definition) => {
        const { name } = definition.service;
        const { action, reason } = planStart(this.#registry.get(name) ?? null, definition);
        const disks = moves.filter(({ to }) => to === name).map(({ from }) => `takes the disk of ${from}`);
        return { name, action, reason: [...(reason === null ? [] : [reason]), ...disks].join('; ') || null };
      });
      return { actions: [...stops, ...starts], ...this.#notes(config, notes) };
    } finally {
      this.#freePlaces();
    }
  }

  /**
   * Stops services, dependents first.
   *
   * @param timeoutMs time for the graceful part; null for each service's own timeout
   */
  async stop(selection: Selection = EVERYTHING, timeoutMs: number | null = null): Promise<CommandReply> {
    return { services: await this.#stopAll(this.#select(selection), timeoutMs, 'stop') };
  }

  #stopAll(
    supervisors: readonly Supervisor[],
    timeoutMs: number | null,
    how: 'stop' | 'suspend',
  ): Promise<ServiceOutcome[]> {
    this.#cancelStarts(supervisors);
    return this.#inReverseOrder(supervisors, async (supervisor) => {
      const changes = supervisor.active || supervisor.isWantedUp;
      await supervisor[how](timeoutMs ?? undefined);
      return succeeded(supervisor, changes);
    });
  }

  /**
   * Stops all services and refuses further starts. A second call shortens the stop.
   *
   * @param suspend true: still counts the services as wanted up, so that the next daemon starts them as their restart
   * policy demands
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
    await this.#stopAll(this.#registry.all(), timeoutMs, suspend ? 'suspend' : 'stop');
  }

  /**
   * Stops services and starts them again with their definitions, which another command may have changed in the
   * meantime.
   */
  async restart(selection: Selection = EVERYTHING, timeoutMs: number | null = null): Promise<CommandReply> {
    const supervisors = this.#select(selection).filter(
      (supervisor) => !supervisor.definition.undeclared || this.#isNamedAlone(supervisor, selection),
    );
    const names = supervisors.map(({ name }) => name);
    const end = this.#unfinished.add(supervisors.map(({ definition }) => definition));
    try {
      await this.#stopAll(supervisors, timeoutMs, 'stop');
      const definitions = names.flatMap((name) => this.#registry.get(name)?.definition ?? []);
      return { services: await this.#startInOrder(definitions) };
    } finally {
      end();
      this.#freePlaces();
    }
  }

  /** Stops services and removes them with their log files and disks. */
  async remove(selection: Selection = EVERYTHING, timeoutMs: number | null = null): Promise<CommandReply> {
    const supervisors = this.#select(selection);
    this.#cancelStarts(supervisors);
    const outcomes = await this.#inReverseOrder(supervisors, async (supervisor) => {
      this.#scheduler.cancel(new Set([supervisor.name]));
      // A start that arrives now waits until the name is free; a start in progress ends with the stop.
      const removal = this.#scheduler.limitOf(supervisor.name)(() => this.#removeOne(supervisor, timeoutMs));
      await supervisor.stop(timeoutMs ?? undefined);
      return removal;
    });
    this.#freePlaces();
    this.#forgetProjects();
    return { services: outcomes };
  }

  /**
   * Removes one service.
   *
   * @param selected the supervisor at the time of the command; a start may have replaced it since
   */
  async #removeOne(selected: Supervisor, timeoutMs: number | null): Promise<ServiceOutcome> {
    const { name } = selected;
    const supervisor = this.#registry.get(name) ?? selected;
    await supervisor.stop(timeoutMs ?? undefined);
    try {
      await this.#context.removeLogs(name);
      // Another back end may have run the service before.
      for (const backend of Object.values(this.#context.backends)) await backend.removeData(name);
      await this.#context.store.remove(name);
    } catch (error) {
      return failed(supervisor, errorTextWithPath(error));
    }
    this.#registry.delete(name);
    return succeeded(supervisor, true);
  }

  #merge(config: Config, selection: Selection, options: StartOptions): Merge {
    return mergeConfig(config, selection, options, {
      supervisors: this.#registry.all(),
      starting: this.#unfinished.holders(),
      groups: this.#groups,
      hasDisk: (isolation, name) => this.#context.backends[isolation].hasData(name),
    });
  }

  /**
   * Moves disks, each while neither service is being started or removed.
   *
   * @returns those that were moved
   * @throws MonocoreError `StartFailed` rather than start a service without its data
   */
  async #moveDisks(moves: readonly DiskMove[]): Promise<DiskMove[]> {
    const moved: DiskMove[] = [];
    for (const move of moves) {
      const { from, to, isolation } = move;
      const backend = this.#context.backends[isolation];
      // In one order, so that two commands do not wait for each other.
      const [one, other] = [from, to].sort().map((name) => this.#scheduler.limitOf(name));
      const run = async (): Promise<void> => {
        // It may be ending because of another command.
        await this.#registry.get(from)?.stop();
        // While this waited, another command may have moved or removed one of them.
        if (!backend.hasData(from) || backend.hasData(to)) return;
        await backend.moveData(from, to);
        moved.push(move);
      };
      try {
        await one!(() => other!(run));
      } catch (cause) {
        const reason = `the disk of ${from} cannot be moved to ${to}: ${errorTextWithPath(cause)}`;
        throw new MonocoreError('StartFailed', reason, { cause });
      }
    }
    return moved;
  }

  async #startInOrder(definitions: readonly ServiceDefinition[]): Promise<ServiceOutcome[]> {
    if (this.#ending) throw new MonocoreError('Aborted', 'the daemon is ending');
    return this.#run(definitions, null);
  }

  /** Starts services. @param restartReason as for {@link StartScheduler.run} */
  async #run(definitions: readonly ServiceDefinition[], restartReason: string | null): Promise<ServiceOutcome[]> {
    const end = this.#unfinished.add(definitions);
    try {
      return await this.#scheduler.run(definitions, restartReason);
    } finally {
      end();
    }
  }

  #stopNamed(names: readonly string[]): Promise<readonly ServiceOutcome[]> {
    return this.#stopAll(
      names.flatMap((name) => this.#registry.get(name) ?? []),
      null,
      'stop',
    );
  }

  /** True if a service is named explicitly and the name does not refer to replicas in the current config. */
  #isNamedAlone({ name }: Supervisor, { names }: Selection): boolean {
    const isReplica = ({ definition: { service, undeclared } }: Supervisor) =>
      service.replica_of === name && !undeclared;
    return names.includes(name) && !this.#registry.all().some(isReplica);
  }

  #select(selection: Selection): Supervisor[] {
    const services = this.#registry
      .all()
      .map(({ definition: { service, project = null } }) => ({ ...service, project }));
    return select(services, selection, 'the daemon').map(({ name }) => this.#registry.get(name)!);
  }

  #cancelStarts(supervisors: readonly Supervisor[]): void {
    this.#scheduler.cancel(new Set(supervisors.map(({ name }) => name)));
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
      // While others were stopped, a start may have replaced it, or another command may have removed it.
      (name) => action(this.#registry.get(name) ?? selected.get(name)!),
    );
    return [...outcomes.values()].sort((a, b) => compareNames(a.service, b.service));
  }

  #notes(config: Config, others: readonly string[]): Pick<CommandReply, 'notes'> {
    const notes = [...others, ...this.#home.describeStricter(config)];
    return notes.length > 0 ? { notes } : {};
  }

  /** Forgets the settings of projects that have no service. */
  #forgetProjects(): void {
    const known = this.#registry.all().map(({ definition }) => definition);
    this.#home.keepOnly([...this.#unfinished.definitions(), ...known].map(({ project = null }) => project));
  }

  /** Frees the addresses and indexes of services that are neither known nor being started. */
  #freePlaces(): void {
    const known = this.#registry.all().map(({ definition }) => definition);
    this.#groups.keepOnly([...this.#unfinished.definitions(), ...known]);
  }
}
