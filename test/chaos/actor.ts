/** Does what was planned. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode } from '../../src/lib/errors.ts';
import type { HomePaths, VmPaths } from '../../src/state/paths.ts';
import { listChildren } from '../helpers/processes/usage.ts';
import type { Commands } from './commands.ts';
import type { DaemonHost } from './daemon-host.ts';
import type { Findings } from './findings.ts';
import type { Floods } from './floods.ts';
import type { KillList } from './kill-list.ts';
import { findServiceProcesses } from './processes.ts';
import { type Action, type Damage, describeAction, type Victim } from './schedule.ts';
import type { Shortages } from './shortages.ts';
import type { StartBook } from './start-book.ts';

const NOBODY = 65_534;

/** Objects of the actions. */
interface ActorOptions {
  readonly paths: HomePaths;
  readonly host: DaemonHost;
  readonly commands: Commands;
  readonly shortages: Shortages;
  readonly floods: Floods;
  readonly clockFile: string;
  /** Gets log folders that were deleted: on the same file system, so that they can be moved there. */
  readonly asideDir: string;
  readonly findings: Findings;
  readonly kills: KillList;
  readonly starts: StartBook;
}

/** Does one action after the other without waiting for it, but one at a time to the daemon, and one flood at a time. */
export class Actor {
  /** Log folders that were moved aside, the oldest first. */
  readonly asideDirs: string[] = [];
  readonly #options: ActorOptions;
  #daemonTurn: Promise<void> = Promise.resolve();
  #floodTurn: Promise<void> = Promise.resolve();
  #isReplacing = false;
  #clockOffsetMs = 0;
  readonly #decoys: ChildProcess[] = [];

  constructor(options: ActorOptions) {
    this.#options = options;
  }

  /** Begins an action. */
  begin(action: Action): void {
    const { findings, host, commands, shortages } = this.#options;
    findings.tell(describeAction(action));
    switch (action.type) {
      case 'start':
        commands.start(action.services);
        return;
      case 'stop':
      case 'restart':
        commands[action.type](action.services, action.timeoutMs);
        return;
      case 'remove':
        commands.track(commands.remove(action.service));
        return;
      case 'remove-during-start':
        commands.start([action.service]);
        commands.track(delay(action.afterMs).then(() => commands.remove(action.service)));
        return;
      case 'claim-name':
        commands.track(commands.claim(action.service));
        return;
      case 'command-project':
        commands.track(commands.commandProject(action.command, action.project));
        return;
      case 'damage-home':
        this.#replaceDaemon(async () => {
          await host.kill();
          this.#damage(action.service, action.damage);
        }, action.downMs);
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
        this.#replaceDaemon(() => host.kill(), action.downMs);
        return;
      case 'replace-daemon':
        // What it has read and cannot write would be lost with it, which it says itself.
        this.#replaceDaemon(() => shortages.withSpace(() => host.end({ leaveRunning: true })), action.downMs);
        return;
      case 'fill-disk':
        shortages.fillDisk(action.forMs);
        return;
      case 'fill-disk-during':
        shortages.fillDisk(action.forMs, action.afterMs, () => commands.step(action.step, action.service));
        return;
      case 'starve-descriptors':
        shortages.starve(action.of, action.spare, action.forMs);
        return;
      case 'flood-port':
        this.#floodTurn = this.#floodTurn.then(() => this.#options.floods.flood(action.port));
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
    const { shortages, commands, host, floods } = this.#options;
    floods.end();
    await shortages.finish();
    await this.#daemonTurn;
    if (host.pid === null) await host.start();
    const cancel = new AbortController();
    const inTime = await Promise.race([
      commands.finish().then(() => true),
      delay(deadlineMs, false, { signal: cancel.signal }).catch(() => false),
    ]);
    cancel.abort();
    await this.#floodTurn;
    await floods.clear();
    return inTime;
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

  #replaceDaemon(end: () => Promise<void>, downMs: number): void {
    const { host, findings } = this.#options;
    // On a busy host one takes its time to come up, and would be ended before it did anything.
    if (this.#isReplacing) {
      findings.tell('  left out: a daemon is on its way');
      return;
    }
    this.#isReplacing = true;
    this.#daemonTurn = this.#daemonTurn.then(async () => {
      await end();
      findings.tell('  the daemon has ended');
      await delay(downMs);
      await host.start();
      findings.tell(`  daemon ${host.pid} is ready`);
      this.#isReplacing = false;
    });
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
