/** Commands to the daemon, as users of the projects give them. */
import { errorCode, errorText } from '../../src/lib/errors.ts';
import type { CommandReply } from '../../src/protocol/api.ts';
import type { HomePaths } from '../../src/state/paths.ts';
import type { DaemonHost } from './daemon-host.ts';
import type { Findings } from './findings.ts';
import type { KillList } from './kill-list.ts';
import { findRun } from './processes.ts';
import type { ProjectConfig, Projects } from './projects.ts';
import type { Step } from './schedule.ts';
import type { StartBook } from './start-book.ts';

/** Parts of an error that nobody has thought of. */
const NAMELESS = /\bundefined\b|is not a function|Cannot read prop|\b(?:Type|Reference|Range)Error\b/;

/** Objects of the commands. */
interface CommandsOptions {
  readonly projects: Projects;
  readonly host: DaemonHost;
  readonly findings: Findings;
  readonly starts: StartBook;
  readonly kills: KillList;
  readonly paths: HomePaths;
}

/** Gives commands, of which many may be under way. A command that is cut off is no finding: a daemon may end. */
export class Commands {
  readonly #options: CommandsOptions;
  readonly #pending = new Set<Promise<void>>();

  constructor(options: CommandsOptions) {
    this.#options = options;
  }

  /** Resolves when all that was begun is done, and what that has begun meanwhile. */
  async finish(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  /** Counts work among that which {@link Commands.finish} waits for. */
  track(work: Promise<void>): void {
    this.#pending.add(work);
    void work.finally(() => this.#pending.delete(work));
  }

  /** Starts services: one command for each project of them. */
  start(services: readonly string[]): void {
    const { host, projects } = this.#options;
    for (const { config, names } of projects.divide(services)) {
      const send = () => host.client.start({ names, group: null, config });
      this.track(this.#send(`start ${names.join(',')}`, projects.withNeeds(names), [], send));
    }
  }

  /** @param timeoutMs null for each service's own */
  stop(services: readonly string[], timeoutMs: number | null): void {
    const { client } = this.#options.host;
    const send = () => client.stop({ names: [...services], group: null, timeout_ms: timeoutMs });
    this.track(this.#send(`stop ${services.join(',')}`, [], services, send));
  }

  /** @param timeoutMs as for {@link Commands.stop} */
  restart(services: readonly string[], timeoutMs: number | null): void {
    const { host, projects } = this.#options;
    const send = () => host.client.restart({ names: [...services], group: null, timeout_ms: timeoutMs });
    this.track(this.#send(`restart ${services.join(',')}`, projects.withNeeds(services), services, send));
  }

  /** Removes a service, then starts it anew. */
  async remove(service: string): Promise<void> {
    const { client } = this.#options.host;
    await this.#send(`remove ${service}`, [], [service], () => client.remove({ names: [service], group: null }));
    this.start([service]);
  }

  /** Gives a command of the schedule to one service. */
  step(step: Step, service: string): void {
    if (step === 'start') this.start([service]);
    if (step === 'stop') this.stop([service], null);
    if (step === 'restart') this.restart([service], null);
    if (step === 'remove') this.track(this.remove(service));
  }

  /** Starts a service in another project, which must be refused. */
  async claim(service: string): Promise<void> {
    const { host, projects, findings } = this.#options;
    const { project, config } = projects.claim(service);
    try {
      await host.client.start({ names: [service], group: null, config });
      findings.complain(`${service} could be started by the project ${project.name}, which does not own it`);
    } catch (error) {
      findings.tell(`  claim of ${service} by ${project.name}: ${errorText(error)}`);
      // Without an answer there is nothing to judge.
      if (errorCode(error) === 'NameTaken' && !errorText(error).includes(projects.ownerOf(service).project.folder))
        findings.complain(`the refusal of ${service} does not name its owner: ${errorText(error)}`);
    }
  }

  /** Gives a command without names, then starts what it has stopped. */
  async commandProject(command: Step, name: string): Promise<void> {
    const { host, projects } = this.#options;
    const owner = projects.get(name);
    const { config, names, project } = owner;
    const everything = { names: [], group: null };
    const isStart = command === 'start' || command === 'restart';
    const send = async (): Promise<CommandReply> => {
      const reply = await (command === 'start'
        ? host.client.start({ ...everything, config })
        : host.client[command]({ ...everything, project }));
      this.#checkReach(command, owner, reply);
      return reply;
    };
    await this.#send(`${command} of ${name}`, isStart ? names : [], command === 'start' ? [] : names, send);
    if (command === 'stop' || command === 'remove') this.start(names);
  }

  /** A command without names is for all of a project, and for nothing else. What is removed now and then may be missing. */
  #checkReach(command: Step, { project, config, names }: ProjectConfig, { services }: CommandReply): void {
    const { findings, projects } = this.#options;
    const reached = services.map(({ service }) => service.name);
    const foreign = reached.filter((service) => !names.includes(service));
    if (foreign.length > 0) findings.complain(`${command} of ${project.name} reached ${foreign.join(', ')}`);
    const missed = names.filter((service) => !reached.includes(service));
    if (missed.length > 0 && !projects.isPassing(config))
      findings.complain(`${command} of ${project.name} did not reach ${missed.join(', ')}`);
  }

  /**
   * Sends a command.
   *
   * @param started services whose restarts may begin anew
   * @param stopped services that are stopped: a daemon may end them and die before a shortage lets it note that
   */
  async #send(
    what: string,
    started: readonly string[],
    stopped: readonly string[],
    send: () => Promise<CommandReply>,
  ): Promise<void> {
    const { host, starts, findings, kills, paths } = this.#options;
    const sentAtMs = performance.now();
    const runs = stopped.map((service) => ({ service, pids: findRun(paths.runDir, service) }));
    const settle = starts.begin(started, host.pid);
    try {
      const { services } = await send();
      settle();
      const outcomes = services.map(({ service, outcome, error }) =>
        error === null ? `${service.name} ${outcome}` : `${service.name} ${outcome}: ${error}`,
      );
      findings.tell(`  ${what}: ${outcomes.join('; ')}`);
      for (const { service, outcome, error } of services) {
        if (outcome === 'failed' && (!error || NAMELESS.test(error)))
          findings.complain(`${service.name} failed without a reason for people: ${error}`);
      }
    } catch (error) {
      // Cut off; the daemon may still do it. One that refuses it does not.
      if (errorCode(error) === 'ServiceUnknown') settle();
      findings.tell(`  ${what}: ${errorText(error)}`);
    }
    if (host.wasShort(sentAtMs))
      for (const { service, pids } of runs) if (pids.length > 0) kills.addKilled(service, pids);
  }
}
