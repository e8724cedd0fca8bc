/** Many services: which are to be started and stopped, and in which order. */
import { EventEmitter } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import pLimit, { type LimitFunction } from 'p-limit';
import { errorText, MonocoreError } from '../errors.ts';
import type { CommandReply, ControlEvent, Selection, ServiceOutcome } from '../protocol/control.ts';
import type { Config, Isolation, ServiceStatus } from '../protocol/service.ts';
import type { StateDocument } from '../protocol/state-document.ts';
import { buildGraph, runInOrder } from './dependencies.ts';
import { endedState, markGone, type ServiceDefinition } from './document.ts';
import { GroupAddresses } from './group-addresses.ts';
import { byName, CALLED_OFF, calledOff, succeeded } from './outcomes.ts';
import type { OrchestratorPorts } from './ports.ts';
import { select } from './selection.ts';
import type { VmState } from './state.ts';
import { Supervisor } from './supervisor.ts';

/** A plain process costs a fork, not a boot. */
const CONCURRENT_PROCESS_STARTS = 16;

const EVERYTHING: Selection = { names: [], group: null };

/** A start that may wait: for what the service depends on, for its turn, for a slot. */
interface PendingStart {
  readonly definition: ServiceDefinition;
  /** A stop came meanwhile. */
  calledOff: boolean;
}

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
  readonly #supervisors = new Map<string, Supervisor>();
  readonly #addresses = new GroupAddresses();
  readonly #limits: Readonly<Record<Isolation, LimitFunction>>;
  readonly #pending = new Set<PendingStart>();
  #ending = false;
  /** By service: two starts at once would each launch a VM of that name. */
  readonly #turns = new Map<string, LimitFunction>();

  constructor(ports: OrchestratorPorts) {
    super();
    this.#ports = ports;
    this.#limits = { vm: pLimit(ports.concurrentBoots), none: pLimit(CONCURRENT_PROCESS_STARTS) };
  }

  /**
   * An orchestrator that knows what an earlier one of this home left: services that ended, and VMs that run on, which
   * are supervised again.
   */
  static async open(ports: OrchestratorPorts & Leftovers): Promise<Orchestrator> {
    const orchestrator = new Orchestrator(ports);
    orchestrator.#restoreEnded(ports.ended);
    await orchestrator.#adopt(ports.left);
    return orchestrator;
  }

  #restoreEnded(documents: readonly StateDocument[]): void {
    for (const document of documents) {
      const { service, group, group_ip: groupIp, kernel } = document;
      if (group && groupIp !== null) this.#addresses.restore(group.name, groupIp);
      this.#install({ service, group, groupIp, kernel }, endedState(document));
    }
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
    const { service, group, group_ip: groupIp, kernel, process: identity, status } = document;
    const { drivers, store, clock, report } = this.#ports;
    const definition = { service, group, groupIp, kernel };
    if (group && groupIp !== null) this.#addresses.restore(group.name, groupIp);
    const driver = drivers[service.isolation];
    const localOnly = group?.local_only ?? true;
    const adoption = await driver.adopt({ service, localOnly, identity, runJob: status === 'Starting' });
    if (adoption.type === 'running') {
      report('info', `${service.name}: taken over, process ${identity?.pid}`);
      this.#add(await Supervisor.adopt(definition, this.#ports, document, adoption));
      return;
    }
    const ended = markGone(document, adoption.exit, clock.now());
    report('warn', `${service.name}: its process ended while no daemon ran`, { exit: ended.exit });
    await driver.cleanUp(service.name);
    await store.conclude(ended);
    this.#install(definition, endedState(ended));
  }

  /** Every known service, sorted by name. */
  services(): ServiceStatus[] {
    return [...this.#supervisors.values()].map((supervisor) => supervisor.status()).sort(byName);
  }

  /**
   * Starts the selected services of a config and what they depend on. One that runs already is left alone, or
   * restarted when its definition differs. A start that fails undoes nothing.
   *
   * @throws MonocoreError `ServiceUnknown` for a name that the config does not have; nothing is started then
   */
  async start(config: Config, selection: Selection = EVERYTHING): Promise<CommandReply> {
    const graph = buildGraph(config.services);
    const chosen = select(config.services, selection, 'the config');
    const names = new Set(chosen.flatMap(({ name }) => [...graph.dependenciesOf(name), name]));
    const definitions = new Map<string, ServiceDefinition>();
    for (const name of graph.overallOrder().filter((candidate) => names.has(candidate))) {
      definitions.set(name, this.#define(config, name));
    }
    this.#ports.limitLogs(config.logs);
    return this.#startInOrder([...definitions.values()]);
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

  /** Stops everything, and refuses to start anything from then on. */
  async end(): Promise<void> {
    this.#ending = true;
    await this.stop();
  }

  /** Stops services and starts them again as they were. */
  async restart(selection: Selection = EVERYTHING, timeoutMs: number | null = null): Promise<CommandReply> {
    const supervisors = this.#select(selection);
    await this.stop({ names: supervisors.map(({ name }) => name), group: null }, timeoutMs);
    return this.#startInOrder(supervisors.map(({ definition }) => definition));
  }

  /** Stops services and forgets them, their log files included. */
  async remove(selection: Selection = EVERYTHING, timeoutMs: number | null = null): Promise<CommandReply> {
    const supervisors = this.#selectToStop(selection);
    const outcomes = await this.#inReverseOrder(supervisors, async (supervisor) => {
      await supervisor.stop(timeoutMs ?? undefined);
      try {
        await this.#ports.removeLogs(supervisor.name);
        await this.#ports.store.remove(supervisor.name);
      } catch (error) {
        return { service: supervisor.status(), outcome: 'failed', error: errorText(error), last_lines: [] };
      }
      this.#supervisors.delete(supervisor.name);
      this.emit('event', { type: 'removed', name: supervisor.name });
      return succeeded(supervisor, true);
    });
    this.#freeAddresses();
    return { services: outcomes };
  }

  #define(config: Config, name: string): ServiceDefinition {
    const service = config.services.find((candidate) => candidate.name === name)!;
    const group = config.groups.find((candidate) => candidate.name === service.group) ?? null;
    const groupIp = group === null ? null : this.#addresses.assign(group.name);
    return { service, group, groupIp, kernel: config.kernel };
  }

  async #startInOrder(definitions: readonly ServiceDefinition[]): Promise<CommandReply> {
    if (this.#ending) throw new MonocoreError('Aborted', 'the daemon is ending');
    const starts = new Map<string, PendingStart>();
    for (const definition of definitions) {
      starts.set(definition.service.name, { definition, calledOff: false });
      // Known from now on, so that a stop finds those, too, that have to wait.
      if (!this.#supervisors.has(definition.service.name)) this.#install(definition);
    }
    for (const start of starts.values()) this.#pending.add(start);
    try {
      const outcomes = await runInOrder<ServiceOutcome>(
        [...starts.keys()],
        (name) => starts.get(name)!.definition.service.depends_on.map(({ service }) => service),
        (name, before) => this.#turnOf(name)(() => this.#startOne(starts.get(name)!, [...before.values()])),
      );
      return { services: [...outcomes.values()].sort((a, b) => byName(a.service, b.service)) };
    } finally {
      for (const start of starts.values()) this.#pending.delete(start);
    }
  }

  #turnOf(name: string): LimitFunction {
    const known = this.#turns.get(name);
    if (known) return known;
    const turn = pLimit(1);
    this.#turns.set(name, turn);
    return turn;
  }

  async #startOne(start: PendingStart, dependencies: readonly ServiceOutcome[]): Promise<ServiceOutcome> {
    const { definition } = start;
    const startedAtMs = this.#ports.clock.now();
    const known = this.#supervisors.get(definition.service.name);
    if (start.calledOff) return calledOff(known ?? new Supervisor(definition, this.#ports));
    const failed = dependencies.find(({ outcome }) => outcome === 'failed');
    if (failed) {
      const supervisor = known ?? this.#install(definition);
      const error = `not started: it depends on ${failed.service.name}, which failed`;
      return { service: supervisor.status(), outcome: 'failed', error, last_lines: [] };
    }
    const upAlready =
      known?.active && known.status().status !== 'Stopping' && isDeepStrictEqual(known.definition, definition);
    // One that has ended may still be noting its end.
    if (known && !upAlready) await known.stop();
    if (known && start.calledOff) return calledOff(known);
    const supervisor = upAlready ? known : this.#install(definition);
    try {
      // One that is on its way has its place already.
      if (upAlready) await supervisor.start();
      else {
        await this.#limits[definition.service.isolation](() => {
          if (start.calledOff) throw new MonocoreError('Aborted', CALLED_OFF);
          return supervisor.start();
        });
      }
      return succeeded(supervisor, !upAlready);
    } catch (error) {
      // Its process may still be on its way out, and with it the lines that say why.
      await supervisor.ended();
      const lastLines = await this.#ports.lastLines(supervisor.name, startedAtMs).catch(() => []);
      return { service: supervisor.status(), outcome: 'failed', error: errorText(error), last_lines: lastLines };
    }
  }

  #install(definition: ServiceDefinition, initial?: VmState): Supervisor {
    return this.#add(new Supervisor(definition, this.#ports, initial));
  }

  #add(supervisor: Supervisor): Supervisor {
    this.#supervisors.get(supervisor.name)?.removeAllListeners();
    this.#supervisors.set(supervisor.name, supervisor);
    supervisor.on('change', (service) => this.emit('event', { type: 'service', service }));
    this.emit('event', { type: 'service', service: supervisor.status() });
    return supervisor;
  }

  #select(selection: Selection): Supervisor[] {
    const services = [...this.#supervisors.values()].map(({ definition }) => definition.service);
    return select(services, selection, 'the daemon').map(({ name }) => this.#supervisors.get(name)!);
  }

  /** Like {@link Orchestrator.#select}; what is selected and waits for its start does not start any more. */
  #selectToStop(selection: Selection): Supervisor[] {
    const supervisors = this.#select(selection);
    const names = new Set(supervisors.map(({ name }) => name));
    for (const start of this.#pending) if (names.has(start.definition.service.name)) start.calledOff = true;
    return supervisors;
  }

  async #inReverseOrder(
    supervisors: readonly Supervisor[],
    action: (supervisor: Supervisor) => Promise<ServiceOutcome>,
  ): Promise<ServiceOutcome[]> {
    const graph = buildGraph([...this.#supervisors.values()].map(({ definition }) => definition.service));
    const selected = new Map(supervisors.map((supervisor) => [supervisor.name, supervisor]));
    const outcomes = await runInOrder(
      [...selected.keys()],
      (name) => graph.directDependentsOf(name),
      // It may have been replaced by a start, or removed, while others were stopped.
      (name) => action(this.#supervisors.get(name) ?? selected.get(name)!),
    );
    return [...outcomes.values()].sort((a, b) => byName(a.service, b.service));
  }

  #freeAddresses(): void {
    const groups = [...this.#supervisors.values()].map(({ definition }) => definition.group?.name);
    this.#addresses.keepOnly(new Set(groups.filter((name) => name !== undefined)));
  }
}
