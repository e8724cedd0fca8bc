/** A chaos run from its begin to its report. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceStatus } from '../../src/protocol/service.ts';
import { HomePaths, resolveHome } from '../../src/state/paths.ts';
import { makeHome } from '../../src/state/store.ts';
import { Actor } from './actor.ts';
import { Commands } from './commands.ts';
import { DaemonHost } from './daemon-host.ts';
import { checkExits } from './exits.ts';
import { Findings } from './findings.ts';
import { type Member, makeFleet, PASSING_PROJECT } from './fleet.ts';
import { FLOOD, Floods } from './floods.ts';
import { KillList } from './kill-list.ts';
import { readLedger } from './ledger.ts';
import { findStaleFiles } from './leftovers.ts';
import { checkLines } from './lines.ts';
import { Monitor } from './monitor.ts';
import type { ChaosOptions } from './options.ts';
import { findMentions } from './processes.ts';
import { Projects } from './projects.ts';
import { SeededRandom } from './random.ts';
import { type ChaosReport, isClean } from './report.ts';
import { RowBook } from './row-book.ts';
import { ACTION_TYPES, type ActionType, type Cast, type PlannedAction, planActions } from './schedule.ts';
import { Shortages } from './shortages.ts';
import { SmallDisk } from './small-disk.ts';
import { StartBook } from './start-book.ts';
import { comesTrue } from './waiting.ts';

const MINUTE_MS = 60_000;
const EVERYTHING = { names: [], group: null };
/** For commands that are under way and services that are on their way when no more action comes. */
const SETTLE_TIMEOUT_MS = 150_000;
/** Time that the services run once more at the end. */
const LAST_RUN_MS = 2000;
const EXIT_TIMEOUT_MS = 5000;

/** Observers of a run. */
interface RunHooks {
  /** Called when it is decided what will happen. */
  readonly onPlan?: (plan: readonly PlannedAction[]) => void;
  /** Called before each action. */
  readonly onAction?: (done: number, planned: PlannedAction) => void;
}

/** Makes a home, does everything, ends everything, and says what became of it. */
export async function runChaos(options: ChaosOptions, hooks: RunHooks = {}): Promise<ChaosReport> {
  const dir = mkdtempSync(join(options.dir, 'monocore-chaos-'));
  const diskDir = join(dir, 'disk');
  mkdirSync(diskDir);
  const disk = SmallDisk.mount(diskDir);
  let isKept = true;
  try {
    const report = await new ChaosRun(options, dir, diskDir, disk).run(hooks);
    isKept = !isClean(report);
    const keptIn = isKept ? dir : null;
    return { ...report, keptIn };
  } finally {
    if (isKept) cpSync(diskDir, join(dir, 'kept'), { recursive: true, verbatimSymlinks: true, filter: isOrdinary });
    if (typeof disk !== 'string') disk.unmount();
    if (!isKept) rmSync(dir, { recursive: true, force: true });
  }
}

/** Pipes and sockets have no content. */
function isOrdinary(path: string): boolean {
  return !path.endsWith('.fifo') && !path.endsWith('.sock');
}

class ChaosRun {
  readonly #options: ChaosOptions;
  readonly #dir: string;
  readonly #paths: HomePaths;
  readonly #fleet: readonly Member[];
  readonly #projects: Projects;
  readonly #leftOut: Partial<Record<ActionType, string>> = {};
  readonly #findings: Findings;
  readonly #kills = new KillList();
  readonly #starts = new StartBook();
  readonly #rows = new RowBook();
  readonly #host: DaemonHost;
  readonly #actor: Actor;
  readonly #monitor: Monitor;

  constructor(options: ChaosOptions, dir: string, diskDir: string, disk: SmallDisk | string) {
    const ledgerDir = join(dir, 'ledger');
    mkdirSync(ledgerDir);
    this.#options = options;
    this.#dir = dir;
    this.#paths = new HomePaths(join(diskDir, 'home'));
    this.#fleet = makeFleet(options.services, options.vms, dir, (name) => join(ledgerDir, name));
    this.#projects = new Projects(this.#fleet);
    for (const type of options.without) this.#leftOut[type] = 'it was not wanted';
    if (typeof disk === 'string') {
      for (const type of ['fill-disk', 'fill-disk-during'] as const) this.#leftOut[type] = disk;
    }
    if (options.vms === 0) this.#leftOut['flood-port'] = 'there is no VM';
    if (this.#projects.all.length < 2) this.#leftOut['claim-name'] = 'there is only one project';
    if (this.#passing.length === 0) {
      for (const type of ['remove', 'remove-during-start', 'damage-home'] as const)
        this.#leftOut[type] = 'there are too few plain processes';
    }
    if (process.getuid?.() !== 0) this.#leftOut.decoy = 'only root runs programs of another user';
    this.#findings = new Findings(join(dir, 'chaos.log'));
    const common = { paths: this.#paths, findings: this.#findings, starts: this.#starts };
    const clockFile = join(dir, 'clock');
    writeFileSync(clockFile, '0');
    const { fake } = options;
    this.#host = new DaemonHost({ ...common, clockFile, stderrFile: join(dir, 'daemon.stderr'), fake });
    const host = this.#host;
    this.#actor = new Actor({
      ...common,
      host,
      commands: new Commands({ ...common, host, projects: this.#projects, kills: this.#kills }),
      shortages: new Shortages({ ...common, host, disk: typeof disk === 'string' ? null : disk }),
      floods: new Floods({ ...common, host, dir, fake }),
      clockFile,
      asideDir: join(diskDir, 'aside'),
      kills: this.#kills,
    });
    this.#monitor = new Monitor({
      ...common,
      host,
      projects: this.#projects,
      rows: this.#rows,
      passing: [...this.#passing, FLOOD],
      services: this.#names,
    });
  }

  get #names(): string[] {
    return this.#fleet.map(({ service }) => service.name);
  }

  get #cast(): Cast {
    const services = this.#names;
    const projects = this.#projects.all.map(({ project }) => project.name);
    return { services, passing: this.#passing[0] ?? null, passingProject: PASSING_PROJECT, projects };
  }

  get #passing(): string[] {
    return this.#fleet.filter(({ isPassing }) => isPassing).map(({ service }) => service.name);
  }

  async run({ onPlan = () => {}, onAction = () => {} }: RunHooks): Promise<Omit<ChaosReport, 'keptIn'>> {
    const { seed, minutes } = this.#options;
    const possible = ACTION_TYPES.filter((type) => this.#leftOut[type] === undefined);
    const plan = planActions(new SeededRandom(seed), minutes * MINUTE_MS, this.#cast, possible);
    onPlan(plan);
    try {
      await this.#begin();
      await this.#act(plan, onAction);
      await this.#settle();
    } finally {
      await this.#end();
    }
    return this.#report(plan);
  }

  async #begin(): Promise<void> {
    await makeHome(this.#paths);
    const kernel = resolveHome(undefined);
    if (existsSync(join(kernel, 'kernel'))) symlinkSync(join(kernel, 'kernel'), this.#paths.kernelDir);
    await this.#host.start();
    await this.#startAll('at the begin');
    this.#monitor.start();
  }

  async #act(plan: readonly PlannedAction[], onAction: NonNullable<RunHooks['onAction']>): Promise<void> {
    const startMs = this.#findings.elapsedMs;
    for (const [index, planned] of plan.entries()) {
      await delay(Math.max(0, startMs + planned.atMs - this.#findings.elapsedMs));
      onAction(index, planned);
      this.#actor.begin(planned.action);
    }
  }

  /** Final phase without actions: every service must settle and work. */
  async #settle(): Promise<void> {
    const findings = this.#findings;
    findings.tell('the actions are over');
    if (!(await this.#actor.finish(SETTLE_TIMEOUT_MS))) findings.complain('a command was never answered');
    let moving: string[] = [];
    const isCalm = await comesTrue(SETTLE_TIMEOUT_MS, async () => {
      const { services } = await this.#host.client.services(EVERYTHING);
      moving = services.filter(isMoving).map(describeRow);
      return moving.length === 0;
    });
    if (!isCalm) for (const row of moving) findings.complain(`does not come to rest: ${row}`);
    const { services } = await this.#host.client.services(EVERYTHING);
    for (const row of services) this.#checkRest(row);
    await this.#startAll('at the end');
    await delay(LAST_RUN_MS);
    findings.tell('everything is stopped');
    await this.#host.client.stop({ all: true, timeout_ms: null });
    for (const row of (await this.#host.client.services(EVERYTHING)).services) {
      this.#rows.take(row);
      if (row.status !== 'Stopped' && row.status !== 'Failed')
        findings.complain(`was not stopped: ${describeRow(row)}`);
    }
  }

  #checkRest(row: ServiceStatus): void {
    const when = this.#fleet.find(({ service }) => service.name === row.name)?.character.restart;
    const isDown = row.status === 'Stopped' || row.status === 'Failed';
    // Here, because the last run cleans up behind the runs before it.
    const leftovers = [this.#paths.stateFile(row.name), this.#paths.vm(row.name).dir].filter((path) =>
      existsSync(path),
    );
    if (isDown && leftovers.length > 0)
      this.#findings.complain(`${row.name} has ended, but left ${leftovers.join(', ')}`);
    if (row.desired === 'up' && isDown && (when === 'always' || when === 'unless-stopped')) {
      this.#findings.complain(`should be up by its policy ${when}: ${describeRow(row)}`);
    }
  }

  async #startAll(when: string): Promise<void> {
    const settle = this.#starts.begin(this.#names, this.#host.pid);
    for (const { config } of this.#projects.all) {
      const { services } = await this.#host.client.start({ ...EVERYTHING, config });
      for (const { service, error } of services) {
        if (error !== null) this.#findings.complain(`${service.name} cannot be started ${when}: ${error}`);
      }
    }
    settle();
  }

  async #end(): Promise<void> {
    await this.#monitor.stop();
    await this.#actor.finish(SETTLE_TIMEOUT_MS);
    await this.#host.end({ leaveRunning: false });
    this.#actor.endDecoys();
  }

  async #report(plan: readonly PlannedAction[]): Promise<Omit<ChaosReport, 'keptIn'>> {
    const orphans = await this.#endOrphans();
    const fleet = this.#fleet;
    const ledgers = new Map(
      fleet.flatMap(({ service, ledger }) => (ledger === null ? [] : [[service.name, readLedger(ledger)] as const])),
    );
    const { asideDirs } = this.#actor;
    const { deaths } = this.#host;
    const logDirs = [...asideDirs, this.#paths.logDir].filter((dir) => existsSync(dir));
    const actions: Partial<Record<ActionType, number>> = {};
    for (const { action } of plan) actions[action.type] = (actions[action.type] ?? 0) + 1;
    const lasting = fleet.filter(({ isPassing }) => !isPassing);
    const lines = lasting.map((member) =>
      checkLines(member, ledgers.get(member.service.name) ?? null, { logDirs, deaths, kills: this.#kills }),
    );
    for (const { faults, excuses } of lines) {
      for (const fault of faults) this.#findings.tell(`LINES: ${fault}`);
      for (const excuse of excuses) this.#findings.tell(`in flight: ${excuse}`);
    }
    return {
      options: this.#options,
      actions,
      leftOut: this.#leftOut,
      lines,
      exits: checkExits(fleet, this.#rows, ledgers, this.#kills),
      orphans,
      staleFiles: findStaleFiles(this.#paths, this.#names, asideDirs),
      violations: this.#findings.violations,
    };
  }

  /** Says which processes are left, and ends them. */
  async #endOrphans(): Promise<string[]> {
    await comesTrue(EXIT_TIMEOUT_MS, () => findMentions(this.#dir).length === 0);
    const orphans = findMentions(this.#dir);
    for (const { pid } of orphans) process.kill(pid, 'SIGKILL');
    return orphans.map(({ pid, commandLine }) => `${pid} ${shorten(commandLine)}`);
  }
}

/** The program of a service is long, and the same for all. */
function shorten(commandLine: string): string {
  return commandLine.length < 200 ? commandLine : `${commandLine.slice(0, 60)} … ${commandLine.slice(-120)}`;
}

/** On its way from one state to another, or with lines that wait for space, which the disk has again. */
function isMoving({ status, restarts_at, log_stalled }: ServiceStatus): boolean {
  return status === 'Stopping' || (status === 'Starting' && restarts_at === null) || log_stalled !== null;
}

function describeRow({ name, status, detail, error, reason, pid, log_stalled }: ServiceStatus): string {
  return JSON.stringify({ name, status, detail, error, reason, pid, log_stalled });
}
