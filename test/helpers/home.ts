/** A home of its own for each test, with the kernel that the set-up script put into the user's. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ServiceStatus } from '../../src/protocol/service.ts';
import { resolveHome } from '../../src/state/paths.ts';
import { eventually } from './eventually.ts';
import { findProcesses } from './processes/command-lines.ts';
import { defer, makeTempDir } from './temp.ts';

/** The built command, for Node. */
export const builtBin = fileURLToPath(new URL('../../dist/src/cli/bin.js', import.meta.url));

/** Result of a command. */
interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Lets VMs below `home` find the kernel of the set-up script; without one the host's in /boot is used. */
export function shareKernel(home: string): void {
  const kernel = join(resolveHome(undefined), 'kernel');
  if (existsSync(kernel)) symlinkSync(kernel, join(home, 'kernel'));
}

/** Another user of this host, and the built command at a path that the user can reach. */
export interface OtherUser {
  readonly uid: number;
  readonly gid: number;
  readonly bin: string;
}

/** A home and the built command on it. */
export class Home {
  readonly dir: string;
  readonly #user: OtherUser | null;

  /** @param user who runs the commands, without supplementary groups; by default whoever runs the tests */
  constructor(dir: string, user: OtherUser | null = null) {
    this.dir = dir;
    this.#user = user;
  }

  /** Runs `monocore …` on this home, as a user would. */
  async run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
    const { bin = builtBin, uid, gid } = this.#user ?? {};
    const child = spawn(process.execPath, [bin, ...args], {
      env: { ...process.env, MONOCORE_HOME: this.dir, ...(this.#user && { HOME: this.dir, TMPDIR: this.dir }), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(uid === undefined ? {} : { uid, gid, cwd: this.dir }),
    });
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { code: child.exitCode, stdout, stderr };
  }

  /** Runs a command that has to succeed; returns what it printed. */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(args);
    if (code !== 0) throw new Error(`monocore ${args.join(' ')} exited with ${code}:\n${stdout}${stderr}`);
    return stdout;
  }

  async status(name: string): Promise<ServiceStatus> {
    const { services } = JSON.parse(await this.ok('status', '--json')) as { services: ServiceStatus[] };
    const service = services.find((candidate) => candidate.name === name);
    if (!service) throw new Error(`status has no ${name}`);
    return service;
  }

  /** Waits until the service has that status. */
  reached(name: string, status: ServiceStatus['status']): Promise<ServiceStatus> {
    return eventually(`${name} to be ${status}`, async () => {
      const service = await this.status(name);
      return service.status === status && service;
    });
  }

  /** Kills the daemon, which gets no chance to end anything. */
  async killDaemon(): Promise<void> {
    const { pid } = JSON.parse(await this.ok('daemon', 'status', '--json')) as { pid: number };
    process.kill(pid, 'SIGKILL');
    await eventually('the daemon to be gone', () => !findProcesses(this.dir).some((process) => process.pid === pid));
  }

  /** Starts a daemon for services that outlived theirs. */
  async startDaemon(): Promise<void> {
    await this.ok('daemon', 'restart');
  }

  /** Lines of a log file, without their prefix. */
  lines(service: string, stream: 'stdout' | 'stderr' | 'console'): string[] {
    const text = readFileSync(join(this.dir, 'log', `${service}.${stream}.log`), 'utf8');
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => line.replace(/^\S+ \w+ \[[^\]]*\] /, ''));
  }
}

/**
 * A home in `dir`, by default a new folder, whose daemon is ended and from which no process is left when the test has
 * ended.
 */
export async function makeTestHome(t: TestContext, dir?: string): Promise<Home> {
  const home = new Home(dir ?? (await makeTempDir(t)));
  if (dir === undefined) shareKernel(home.dir);
  endWithTest(t, home);
  return home;
}

/** Ends the daemon of a home with the test, and waits until no process of it is left. */
export function endWithTest(t: TestContext, home: Home): void {
  defer(t, async () => {
    await home.run(['daemon', 'stop']);
    await eventually(`all processes of ${home.dir} to end`, () => findProcesses(home.dir).length === 0);
  });
}
