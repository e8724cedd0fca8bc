/** A folder for all temporary files of a run, so that what stays is known to be its own. */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Time for processes to vanish: one that was killed may still be on its way out. */
const EXIT_GRACE_MS = 3000;

/** Files that may stay: the caches of tsx and Node, and the entries of processes with several test files. */
const EXPECTED = /^(tsx-.*|node-compile-cache|group-\d+\.mjs)$/;

export class Workspace {
  /** Its name is short, because the paths of sockets must be. */
  readonly dir = mkdtempSync(join(tmpdir(), 'mt-'));

  constructor() {
    // Some tests run programs as other users.
    chmodSync(this.dir, 0o1777);
    // Of one run after the other: else each would compile every test anew.
    const cache = `tsx-${process.geteuid?.()}`;
    mkdirSync(join(tmpdir(), cache), { recursive: true });
    symlinkSync(join(tmpdir(), cache), join(this.dir, cache));
  }

  /** Descriptions of the files and processes that the tests left behind. */
  async leftovers(): Promise<string[]> {
    const deadline = Date.now() + EXIT_GRACE_MS;
    let processes = this.#processes();
    while (processes.length > 0 && Date.now() < deadline) {
      await sleep(50);
      processes = this.#processes();
    }
    const files = readdirSync(this.dir).filter((name) => !EXPECTED.test(name));
    return [
      ...processes.map((line) => `process left behind: ${line}`),
      ...files.map((name) => `file left behind: ${join(this.dir, name)}`),
    ];
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Id and command line of each process that was started with the folder in its arguments or its environment. */
  #processes(): string[] {
    return readdirSync('/proc').flatMap((pid) => {
      if (!Number(pid) || Number(pid) === process.pid) return [];
      const commandLine = readText(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
      const isOurs = `${commandLine}\0${readText(`/proc/${pid}/environ`)}`.includes(this.dir);
      return isOurs ? [`${pid} ${commandLine}`] : [];
    });
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It has ended, or it belongs to another user.
    return '';
  }
}
