/** Many services: which are to be started and stopped, and in which order. */
import { EventEmitter } from 'node:events';
import { errorText, MonocoreError } from '../errors.ts';
import type { CommandReply, ControlEvent, Selection, ServiceOutcome } from '../protocol/control.ts';
import type { Config, Group, Service, ServiceStatus } from '../protocol/service.ts';
import type { StateDocument } from '../protocol/state-document.ts';
import { isActive } from './conditions.ts';
import { buildGraph, runInOrder } from './dependencies.ts';
import { markGone, restoredState, type ServiceDefinition } from './document.ts';
import { GroupAddresses } from './group-addresses.ts';
import { GroupMembers } from './group-members.ts';
import { byName, failed, succeeded } from './outcomes.ts';
import { checkPortClaims } from './port-claims.ts';
import type { OrchestratorPorts } from './ports.ts';
import { Registry } from './registry.ts';
import { startsWithDaemon } from './restart.ts';
import { select } from './selection.ts';
import { Starts } from './starts.ts';
import { Supervisor } from './supervisor.ts';

const EVERYTHING: Selection = { names: [], group: null };

/** State documents of an earlier orchestrator of the home. */
export interface Leftovers {
  /** Of services that had not ended. */
  readonly left: readonly StateDocument[];
  /** Of services that had. */
  readonly ended: readonly StateDocument[];
}

/** Supervises the services of one home. Emits every change of a service, in order. Main thread. */
export class Orchestrator extends EventEmitter<{ event: [ControlEvent] }> {
  readonly #ports: OrchestratorPorts;
  readonly #registry: Registry;
  readonly #starts: Starts;
  readonly #addresses = new GroupAddresses();
  readonly #members = new GroupMembers();
  #ending = false;

  constructor(ports: OrchestratorPorts) {
    super();
    this.#ports = ports;
    this.#registry = new Registry(ports);
    this.#starts = new Starts(ports, this.#registry);
    this.#registry.on('event', (event) => this.emit('event', event));
  }

  /**
   * An orchestrator that knows what an earlier one of this home left: services that ended, and VMs that run on, which
   * are supervised again. What should be up by its restart policy is started; that goes on when this has resolved.
   *
   * @param startsAll whether services that the user had stopped start, too, where their policy is `always`
   */
  static async open(ports: OrchestratorPorts & Leftovers, { startsAll = false } = {}): Promise<Orchestrator> {
    const orchestrator = new Orchestrator(ports);
    // What runs has its place; what ended may have lost it to another by then.
    for (const document of [...ports.left, ...ports.ended]) orchestrator.#restorePlace(document);
    orchestrator.#restoreEnded(ports.ended);
    orchestrator.#shareNames();
    await orchestrator.#adopt(ports.left);
    orchestrator.#startByPolicy(startsAll);
    return orchestrator;
  }

  #restoreEnded(documents: readonly StateDocument[]): void {
    for (const document of documents) {
      this.#registry.install(this.#restoreDefinition(document), restoredState(document));
    }
  }

  #restorePlace({ service, group, group_ip: groupIp, group_index: groupIndex }: StateDocument): void {
    if (group && groupIp !== null) this.#addresses.restore(group.name, groupIp);
    if (group && groupIndex !== null) this.#members.restore(group.name, service.name, groupIndex);
  }

  #restoreDefinition({ service, group, kernel }: StateDocument): ServiceDefinition {
    const groupIp = group && this.#addresses.assign(group.name);
    return { service, group, groupIp, groupIndex: this.#indexOf(service, group), kernel };
  }

  /** Place of a VM in the network of its group; a plain process has none, for it is on the host's. */
  #indexOf({ name, isolation }: Service, group: Group | null): number | null {
    return group && isolation === 'vm' ? this.#members.assign(group.name, name) : null;
  }

  #startByPolicy(startsAll: boolean): void {
    const due = this.#registry
      .all()
      .filter(({ state, definition }) => startsWithDaemon(definition.service.restart.when, state, startsAll));
    if (due.length === 0) return;
    const cause = { type: 'policy', reason: 'the daemon was started' } as const;
    const definitions = due.map(({ definition }) => definition);
    this.#starts.run(definitions, cause).catch((error: unknown) => {
      this.#ports.report('error', `services cannot be started again: ${errorText(error)}`);
    });
  }

  /** VMs that run are supervised again, for the others it is noted how they ended. */
  async #adopt(documents: readonly StateDocument[]): Promise<void> {
    await Promise.all(
      documents.map(async (document) => {
        try {
          await this.#adoptOne(document);
        } catch (error) {
          this.#ports.report('error', `${document.service.name}: cannot be taken over: ${errorText(error)}`);
        }
      }),
    );
  }

  async #adoptOne(document: StateDocument): Promise<void> {
    const { service, group, process: identity, status } = document;
    const { drivers, store, clock, report } = this.#ports;
    const definition = this.#restoreDefinition(document);
    const driver = drivers[service.isolation];
    const localOnly = group?.local_only ?? true;
    const { groupIndex = null } = definition;
    const adoption = await driver.adopt({ service, localOnly, groupIndex, identity, runJob: status === 'Starting' });
    if (adoption.type === 'running') {
      report('info', `${service.name}: taken over, process ${identity?.pid}`);
      this.#registry.add(await Supervisor.adopt(definition, this.#ports, document, adoption));
      return;
    }
    const ended = markGone(document, adoption.exit, adoption.oomKilled ?? false, clock.now());
    report('warn', `${service.name}: its process ended while no daemon ran`, { exit: ended.exit });
    // Its exit record is the only one until it is noted.
    await store
      .conclude(ended, () => driver.cleanUp(service.name))
      .catch((error: unknown) => {
        report('error', `${service.name}: how it ended cannot be saved yet: ${errorText(error)}`);
      });
    this.#registry.install(definition, restoredState(ended));
  }

  /** Every known service, sorted by name. */
  services(): ServiceStatus[] {
    return this.#registry
      .all()
      .map((supervisor) => supervisor.status())
      .sort(byName);
  }

  /**
   * Starts the selected services of a config and what they depend on. One that runs already is left alone, or
   * restarted when its definition differs. A start that fails undoes nothing.
   *
   * @throws MonocoreError `ServiceUnknown` for a name that the config does not have, `StartFailed` for a port that two
   * services claim, and when there is no address left for a group; nothing is started then
   */
  async start(config: Config, selection: Selection = EVERYTHING): Promise<CommandReply> {
    const graph = buildGraph(config.services);
    const chosen = select(config.services, selection, 'the config');
    const names = new Set(chosen.flatMap(({ name }) => [...graph.dependenciesOf(name), name]));
    const order = graph.overallOrder().filter((name) => names.has(name));
    try {
      const definitions = order.map((name) => this.#define(config, name));
      checkPortClaims(definitions, this.#runningBeside(names));
      this.#ports.limitLogs(config.logs);
      this.#shareNames();
      return await this.#startInOrder(definitions);
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
      const wasActive = supervisor.active;
      await supervisor.stop(timeoutMs ?? undefined);
      return succeeded(supervisor, wasActive);
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

  /** Stops services and starts them again as they were. */
  async restart(selection: Selection = EVERYTHING, timeoutMs: number | null = null): Promise<CommandReply> {
    const supervisors = this.#select(selection);
    await this.stop({ names: supervisors.map(({ name }) => name), group: null }, timeoutMs);
    return this.#startInOrder(supervisors.map(({ definition }) => definition));
  }

  /** Stops services and forgets them, their log files and disks included. */
  async remove(selection: Selection = EVERYTHING, timeoutMs: number | null = null): Promise<CommandReply> {
    const supervisors = this.#selectToStop(selection);
    const outcomes = await this.#inReverseOrder(supervisors, async (supervisor) => {
      await supervisor.stop(timeoutMs ?? undefined);
      try {
        await this.#ports.removeLogs(supervisor.name);
        // Its isolation may have changed in its life.
        for (const driver of Object.values(this.#ports.drivers)) await driver.removeData(supervisor.name);
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

  #define(config: Config, name: string): ServiceDefinition {
    const service = config.services.find((candidate) => candidate.name === name)!;
    const group = config.groups.find((candidate) => candidate.name === service.group) ?? null;
    const groupIp = group === null ? null : this.#addresses.assign(group.name);
    return { service, group, groupIp, groupIndex: this.#indexOf(service, group), kernel: config.kernel };
  }

  async #startInOrder(definitions: readonly ServiceDefinition[]): Promise<CommandReply> {
    if (this.#ending) throw new MonocoreError('Aborted', 'the daemon is ending');
    return { services: await this.#starts.run(definitions, { type: 'asked' }) };
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

  /** What runs, or is about to, apart from those services. */
  #runningBeside(names: ReadonlySet<string>): ServiceDefinition[] {
    const running = this.#registry
      .all()
      .filter(({ state: { actual } }) => actual.status === 'Starting' || isActive(actual));
    return [...this.#starts.pending(), ...running.map(({ definition }) => definition)].filter(
      ({ service }) => !names.has(service.name),
    );
  }

  /** Lets all VMs know whom they have in their groups now. */
  #shareNames(): void {
    for (const group of this.#members.groups()) this.#ports.network.setMembers(group, this.#members.list(group));
  }

  /** Addresses and names of groups and services that are not known, or not any more, are for others. */
  #freePlaces(): void {
    const known = [...this.#starts.pending(), ...this.#registry.all().map(({ definition }) => definition)];
    const services = known.map(({ service }) => service);
    this.#addresses.keepOnly(new Set(services.flatMap(({ group }) => group ?? [])));
    this.#members.keepOnly(services.filter(({ isolation }) => isolation === 'vm'));
    this.#shareNames();
  }
}
