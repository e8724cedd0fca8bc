/** Shortages of the host: of space for the home, and of descriptors for a process of the daemon. */
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { readProcessFile } from '../../src/lib/proc.ts';
import { readCommandLine } from '../helpers/processes/command-lines.ts';
import { listChildren } from '../helpers/processes/usage.ts';
import type { DaemonHost } from './daemon-host.ts';
import { starve } from './descriptors.ts';
import type { Findings } from './findings.ts';
import type { SmallDisk } from './small-disk.ts';
import { comesTrue } from './waiting.ts';

/** For a daemon that comes up, or has descriptors again. */
const RECOVERY_TIMEOUT_MS = 60_000;

const SIGHUP_BIT = 1n << BigInt(constants.signals.SIGHUP - 1);

/** Objects of the shortages. */
interface ShortagesOptions {
  readonly host: DaemonHost;
  /** Null: it cannot be filled. */
  readonly disk: SmallDisk | null;
  readonly findings: Findings;
}

/** Begins and ends shortages, one of each kind at a time. */
export class Shortages {
  readonly #options: ShortagesOptions;
  #diskTurn: Promise<void> = Promise.resolve();
  #descriptorTurn: Promise<void> = Promise.resolve();

  constructor(options: ShortagesOptions) {
    this.#options = options;
  }

  /** Resolves when the host has enough of everything. */
  async finish(): Promise<void> {
    await this.#diskTurn;
    await this.#descriptorTurn;
  }

  /** Fills the disk for a while, that long after something has begun. */
  fillDisk(forMs: number, afterMs = 0, begin = (): void => {}): void {
    const { disk } = this.#options;
    if (!disk) return;
    this.#diskTurn = this.#diskTurn.then(async () => {
      begin();
      await delay(afterMs);
      await this.#fill(disk, forMs);
    });
  }

  /** Does something when the disk has space, which it keeps meanwhile. */
  async withSpace(action: () => Promise<void>): Promise<void> {
    const turn = this.#diskTurn.then(action);
    this.#diskTurn = turn.catch(() => {});
    await turn;
  }

  /** Leaves a process `spare` descriptors for a while. */
  starve(of: 'daemon' | 'spawner', spare: number, forMs: number): void {
    this.#descriptorTurn = this.#descriptorTurn.then(() => this.#starve(of, spare, forMs));
  }

  async #fill(disk: SmallDisk, forMs: number): Promise<void> {
    const { host, findings } = this.#options;
    disk.fill();
    host.noteShortage('space', true);
    findings.tell('  the disk is full');
    try {
      await delay(forMs);
    } finally {
      disk.free();
      host.noteShortage('space', false);
      findings.tell('  the disk has space again');
    }
  }

  async #starve(of: 'daemon' | 'spawner', spare: number, forMs: number): Promise<void> {
    const { host, findings } = this.#options;
    let pid: number | null = null;
    // One that has not come up would lack its modules.
    await comesTrue(RECOVERY_TIMEOUT_MS, async () => {
      if ((await host.client.daemon()).pid !== host.pid) return false;
      pid = of === 'daemon' ? host.pid : findSpawner(host.pid!);
      return pid !== null;
    });
    const daemonPid = host.pid;
    const undo = pid === null ? null : starve(pid, spare);
    if (undo === null) return;
    host.noteShortage('descriptors', true);
    findings.tell(`  the ${of} ${pid} has ${spare} descriptors left`);
    try {
      await delay(forMs);
    } finally {
      undo();
      host.noteShortage('descriptors', false);
      findings.tell(`  the ${of} has descriptors again`);
    }
    const answers = async () => host.pid !== daemonPid || (await host.client.daemon()).pid === daemonPid;
    if (!(await comesTrue(RECOVERY_TIMEOUT_MS, answers)))
      findings.complain(`the daemon does not answer after its ${of} had no descriptors`);
  }
}

/** The spawner of a daemon, once it takes commands; null when there is none. */
function findSpawner(daemonPid: number): number | null {
  const isSpawner = (pid: number) => readCommandLine(pid).includes('spawner') && catchesSignals(pid);
  return listChildren(daemonPid).find(isSpawner) ?? null;
}

/** True for a process with a handler for SIGHUP, which the spawner has when its modules are loaded: proc_pid_status(5). */
function catchesSignals(pid: number): boolean {
  const [, caught = '0'] = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readProcessFile(pid, 'status') ?? '') ?? [];
  return (BigInt(`0x${caught}`) & SIGHUP_BIT) !== 0n;
}
