/** Cost of a process, and processes that exchange lines with the tool. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { listChildren, readCpuMs, readResidentBytes } from '../helpers/processes/usage.ts';

/** Delay of an event loop, milliseconds. */
export interface LoopDelay {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** CPU seconds of a process and its children, all their threads together: a daemon has one, which starts all others. */
export function cpuSeconds(pid: number): number {
  return sum([pid, ...listChildren(pid)].map(readCpuMs)) / 1000;
}

/** Resident memory of a process and its children, MiB. */
export function residentMib(pid: number): number {
  return sum([pid, ...listChildren(pid)].map(readResidentBytes)) / 2 ** 20;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** A program of this folder that watches its event loop, see `loop-delay.js`. */
export class WatchedProgram {
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  /** @param nodeOptions of Node itself */
  constructor(name: string, args: readonly string[] = [], nodeOptions: readonly string[] = []) {
    const path = fileURLToPath(new URL(name, import.meta.url));
    // A session of its own, as every daemon in the background: the processors are shared out among sessions.
    this.#child = spawn(process.execPath, [...nodeOptions, path, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
    this.#child.stdin!.on('error', () => {});
    this.#lines = createInterface({ input: this.#child.stdout! });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Delay of its event loop since the last `reset`, which begins a new window. */
  async delay(command: 'reset' | 'report'): Promise<LoopDelay> {
    this.#child.stdin!.write(`${command}\n`);
    const [line] = await once(this.#lines, 'line');
    return JSON.parse(line) as LoopDelay;
  }

  /** Ends it and waits for that. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill(signal);
    await exited;
  }
}
