/** Does what was planned. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode, errorText } from '../../src/lib/errors.ts';
import type { CommandReply } from '../../src/protocol/api.ts';
import type { Config } from '../../src/protocol/service.ts';
import type { HomePaths, VmPaths } from '../../src/state/paths.ts';
import { listChildren } from '../helpers/processes/usage.ts';
import type { DaemonHost } from './daemon-host.ts';
import type { Findings } from './findings.ts';
import type { KillList } from './kill-list.ts';
import { findServiceProcesses } from './processes.ts';
import { type Action, type Damage, describeAction, type Victim } from './schedule.ts';
import type { SmallDisk } from './small-disk.ts';
import type { StartBook } from './start-book.ts';

const NOBODY = 65_534;

/** Objects of the actions. */
interface ActorOptions {
  readonly paths: HomePaths;
  readonly config: Config;
  readonly host: DaemonHost;
  /** Null: it cannot be filled. */
  readonly disk: SmallDisk | null;
  readonly clockFile: string;
  /** Gets log folders that were deleted: on the same file system, so that they can be moved there. */
  readonly asideDir: string;
  readonly findings: Findings;
  readonly kills: KillList;
  readonly starts: StartBook;
}

/** Does one action after the other without waiting for it, but one at a time to the daemon and to the disk. */
export class Actor {
  /** Log folders that were moved aside, the oldest first. */
  readonly asideDirs: string[] = [];
  readonly #options: ActorOptions;
  readonly #commands = new Set<Promise<void>>();
  #daemonTurn: Promise<void> = Promise.resolve();
  #diskTurn: Promise<void> = Promise.resolve();
  #clockOffsetMs = 0;
  readonly #decoys: ChildProcess[] = [];

  constructor(options: ActorOptions) {
    this.#options = options;
  }

  /** Begins an action. */
  begin(action: Action): void {
    const { findings, host, disk } = this.#options;
    findings.tell(describeAction(action));
    switch (action.type) {
      case 'start':
      case 'stop':
      case 'restart':
        this.#command(action);
        return;
      case 'remove':
        this.#commands.add(this.#remove(action.service));
        return;
      case 'remove-during-start':
        this.#command({ type: 'start', services: [action.service] });
        this.#commands.add(delay(action.afterMs).then(() => this.#remove(action.service)));
        return;
      case 'damage-home':
        this.#daemonTurn = this.#daemonTurn.then(() =>
          this.#replaceDaemon(async () => {
            await host.kill();
            this.#damage(action.service, action.damage);
          }, action.downMs),
        );
        return;
      case 'decoy':
        this.#decoys.push(startDecoy(this.#options.paths.vm(action.service)));
        return;
      case 'kill-service':
        this.#killService(action.service, action.victim);
        return;
      case 'crash-thread':
        host.crashThread(action.thread);
        return;
      case 'kill-daemon':
        this.#daemonTurn = this.#daemonTurn.then(() => this.#replaceDaemon(() => host.kill(), action.downMs));
        return;
      case 'replace-daemon':
        // What it has read and cannot write would be lost with it, which it says itself.
        this.#daemonTurn = this.#daemonTurn.then(() =>
          this.#replaceDaemon(() => this.#withSpace(() => host.end({ leaveRunning: true })), action.downMs),
        );
        return;
      case 'fill-disk':
        if (disk) this.#diskTurn = this.#diskTurn.then(() => this.#fillDisk(disk, action.forMs));
        return;
      case 'delete-log-folder':
        this.#deleteLogFolder();
        return;
      case 'delete-runtime-folder':
        this.#deleteRuntimeFolder(action.service);
        return;
      case 'step-clock':
        this.#clockOffsetMs += action.byMs;
        this.#setClock();
        return;
    }
  }

  /** Waits until all that was begun is done: the disk has space and a daemon runs. False when a command is stuck. */
  async finish(deadlineMs: number): Promise<boolean> {
    await this.#diskTurn;
    await this.#daemonTurn;
    if (this.#options.host.pid === null) await this.#options.host.start();
    const cancel = new AbortController();
    const inTime = await Promise.race([
      Promise.all(this.#commands).then(() => true),
      delay(deadlineMs, false, { signal: cancel.signal }).catch(() => false),
    ]);
    cancel.abort();
    return inTime;
  }

  #command({ type, services, ...rest }: Extract<Action, { type: 'start' | 'stop' | 'restart' }>): void {
    const { host, config, starts, findings } = this.#options;
    const selection = { names: [...services], group: null };
    const stop = { ...selection, timeout_ms: 'timeoutMs' in rest ? rest.timeoutMs : null };
    const send = (): Promise<CommandReply> => {
      if (type === 'start') return host.client.start({ ...selection, config });
      return type === 'stop' ? host.client.stop(stop) : host.client.restart(stop);
    };
    const command = (async () => {
      const settle = type === 'stop' ? () => {} : starts.begin(this.#withNeeds(services), host.pid);
      try {
        const reply = await send();
        settle();
        this.#tellOutcome(type, reply);
      } catch (error) {
        // Cut off; the daemon may still do it. One that refuses it does not.
        if (errorCode(error) === 'ServiceUnknown') settle();
        findings.tell(`  ${type} ${services.join(',')}: ${errorText(error)}`);
      }
    })();
    this.#commands.add(command);
    void command.finally(() => this.#commands.delete(command));
  }

  async #remove(service: string): Promise<void> {
    const { host, findings } = this.#options;
    try {
      this.#tellOutcome('remove', await host.client.remove({ names: [service], group: null, timeout_ms: null }));
    } catch (error) {
      findings.tell(`  remove ${service}: ${errorText(error)}`);
    }
    this.#command({ type: 'start', services: [service] });
  }

  #tellOutcome(command: string, { services }: CommandReply): void {
    const outcomes = services.map(({ service, outcome, error }) =>
      error === null ? `${service.name} ${outcome}` : `${service.name} ${outcome}: ${error}`,
    );
    this.#options.findings.tell(`  ${command}: ${outcomes.join('; ')}`);
  }

  /** Returns the services that a start of `services` includes: their dependencies, too. */
  #withNeeds(services: readonly string[]): string[] {
    const known = this.#options.config.services;
    const needs = known.filter(({ name }) => services.includes(name)).flatMap(({ depends_on }) => depends_on);
    return [...services, ...needs.map(({ service }) => service)];
  }

  #killService(service: string, victim: Victim): void {
    const { kills, findings } = this.#options;
    const parents = this.#processesOf(service);
    const commands = parents.flatMap(listChildren);
    const hasCommands = commands.length > 0;
    const targets = victim === 'command' && hasCommands ? commands : parents;
    if (targets.length === 0) return;
    // Before it happens: whoever sees its end must know.
    kills.addKilled(service, [...parents, ...commands]);
    for (const pid of targets) sendKill(victim === 'group' && hasCommands ? -pid : pid);
    findings.tell(`  killed ${targets.join(', ')}`);
  }

  async #replaceDaemon(end: () => Promise<void>, downMs: number): Promise<void> {
    const { host, findings } = this.#options;
    await end();
    findings.tell('  the daemon has ended');
    await delay(downMs);
    // A daemon refuses to start on a full disk, and says so.
    await this.#withSpace(() => host.start());
    findings.tell(`  daemon ${host.pid} is ready`);
  }

  /** Does something when the disk has space, which it keeps meanwhile. */
  async #withSpace(action: () => Promise<void>): Promise<void> {
    const turn = this.#diskTurn.then(action);
    this.#diskTurn = turn.catch(() => {});
    await turn;
  }

  async #fillDisk(disk: SmallDisk, forMs: number): Promise<void> {
    const { host, findings } = this.#options;
    disk.fill();
    host.noteDisk(true);
    try {
      await delay(forMs);
    } finally {
      disk.free();
      host.noteDisk(false);
      findings.tell('  the disk has space again');
    }
  }

  #deleteLogFolder(): void {
    const { paths, asideDir } = this.#options;
    const aside = join(asideDir, `log-${this.asideDirs.length + 1}`);
    mkdirSync(asideDir, { recursive: true });
    try {
      renameSync(paths.logDir, aside);
      this.asideDirs.push(aside);
    } catch (error) {
      // Nobody has written since the last time.
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  }

  #deleteRuntimeFolder(service: string): void {
    const { paths, kills } = this.#options;
    const parents = this.#processesOf(service);
    kills.addFolderless(service, [...parents, ...parents.flatMap(listChildren)]);
    rmSync(paths.vm(service).dir, { recursive: true, force: true });
  }

  /** Expects any end: the daemon's answer to the damage may end the service at once, and forgets its restarts. */
  #damage(service: string, damage: Damage): void {
    const { paths, kills, starts } = this.#options;
    const parents = this.#processesOf(service);
    const all = [...parents, ...parents.flatMap(listChildren)];
    kills.addKilled(service, all);
    kills.addFolderless(service, all);
    starts.begin([service], null)();
    const state = paths.stateFile(service);
    if (damage === 'delete-state' || damage === 'delete-both') rmSync(state, { force: true });
    if (damage === 'cut-state' && existsSync(state)) truncateSync(state, 100);
    if (damage === 'delete-stream') rmSync(paths.vm(service).fifo('stdout'), { force: true });
    if (damage === 'delete-both') rmSync(paths.vm(service).dir, { recursive: true, force: true });
  }

  /** Ends the decoys; those that have been ended by somebody else are findings. */
  endDecoys(): void {
    for (const decoy of this.#decoys) {
      if (decoy.exitCode !== null || decoy.signalCode !== null)
        this.#options.findings.complain(`a process of another user was ended: ${decoy.signalCode ?? decoy.exitCode}`);
      decoy.kill('SIGKILL');
    }
  }

  #processesOf(service: string): number[] {
    return findServiceProcesses(this.#options.paths.runDir).get(service) ?? [];
  }

  #setClock(): void {
    const { clockFile } = this.#options;
    writeFileSync(`${clockFile}.new`, String(this.#clockOffsetMs));
    renameSync(`${clockFile}.new`, clockFile);
  }
}

/** A process of another user that looks like a helper of the service. */
function startDecoy({ control, exitRecord }: VmPaths): ChildProcess {
  // A command of the shell itself: a child of the shell would outlive it.
  const words = ['-c', 'read -r never', exitRecord, `--socket-path=${control}`];
  return spawn('/bin/sh', words, { stdio: ['pipe', 'ignore', 'ignore'], uid: NOBODY, gid: NOBODY, cwd: '/' });
}

function sendKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}
