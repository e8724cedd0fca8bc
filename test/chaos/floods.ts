/** A service whose root floods a port of its VM: it must end by name, or stay within its limits, and no other notices. */
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode, errorText } from '../../src/lib/errors.ts';
import { MIB } from '../../src/lib/units.ts';
import { parseFileName } from '../../src/protocol/log-files/names.ts';
import { DEFAULT_LOG_SETTINGS } from '../../src/protocol/log-settings.ts';
import type { Service, ServiceStatus } from '../../src/protocol/service.ts';
import { DEFAULT_RESTART_SETTINGS } from '../../src/protocol/supervision.ts';
import type { HomePaths } from '../../src/state/paths.ts';
import { renderMessage } from '../../src/vm/guest/agent-frames.ts';
import { makePerlRoot } from '../helpers/disks/perl-root.ts';
import { configOf, scriptService } from '../helpers/fakes/services.ts';
import { FLOOD_PROGRAM } from '../helpers/vm/flood.ts';
import type { DaemonHost } from './daemon-host.ts';
import type { Findings } from './findings.ts';
import { ENVIRONMENT_MARK } from './program.ts';
import type { Port } from './schedule.ts';
import { comesTrue } from './waiting.ts';

/** Name of the service. */
export const FLOOD = 'flood';

/** Ports as the program of the guest takes them: four are those of its agent. */
const GUEST_PORTS: Readonly<Record<Port, string>> = {
  console: '/dev/hvc0',
  control: '3',
  exit: '4',
  stdout: '1',
  stderr: '2',
};
/** Ports on which a guest may write as much as it likes: the files are bounded. */
const LOG_PORTS: readonly Port[] = ['stdout', 'stderr', 'console'];
/** To the end of the flood, which begins when a VM has booted on a busy host. */
const END_TIMEOUT_MS = 150_000;
/** For the removal of old files, and for a daemon that comes back. */
const CLEAN_TIMEOUT_MS = 60_000;
/** The guest's kernel keeps up to 1024 writes of 32 KiB for a port while nobody reads: a flood must not end by that. */
const RAM_MIB = 256;
const TRIES = 4;
const LOG_FILE_BYTES = MIB / 4;
const KEPT_LOG_BYTES = MIB;
/** Files of a flood that has gone on for longer than its logs may. */
const LOG_FILES = 8;
/** Room of the last file for the line at which it is rolled. */
const SLACK_BYTES = 64 * 1024;

/** Objects of the floods. */
interface FloodOptions {
  readonly paths: HomePaths;
  readonly host: DaemonHost;
  readonly findings: Findings;
  /** Folder of the run: gets the root of the guest. */
  readonly dir: string;
  readonly fake: boolean;
}

/** Floods, one after the other. */
export class Floods {
  readonly #options: FloodOptions;
  #root: string | null = null;
  #isOver = false;
  #startedAtMs = 0;

  constructor(options: FloodOptions) {
    this.#options = options;
  }

  /** From now on no flood begins. */
  end(): void {
    this.#isOver = true;
  }

  /** Starts the service, waits until its flood is over or has been long enough, and removes it with all it left. */
  async flood(port: Port): Promise<void> {
    const { host, findings } = this.#options;
    const config = configOf([this.#makeService(port)]);
    let hasFlooded = false;
    // A start may be refused or cut off.
    for (let tries = 0; tries < TRIES && !hasFlooded && !this.#isOver; tries += 1) {
      // Without a daemon, or in a shortage, there would be no flood.
      await this.#comesTrue(CLEAN_TIMEOUT_MS, async () => (await host.client.daemon()).pid > 0 && !host.isShort);
      this.#startedAtMs = performance.now();
      try {
        await host.client.start({ names: [FLOOD], group: null, config });
      } catch (error) {
        // The daemon may carry it out, or the next one.
        findings.tell(`  start ${FLOOD}: ${errorText(error)}`);
      }
      hasFlooded = await (LOG_PORTS.includes(port) ? this.#awaitFiles(port) : this.#awaitEnd(port));
      await this.clear();
    }
  }

  #makeService(port: Port): Service {
    const { dir, fake } = this.#options;
    const settings = {
      envs: { [ENVIRONMENT_MARK]: dir },
      ram_mib: RAM_MIB,
      restart: { ...DEFAULT_RESTART_SETTINGS, when: 'no' as const },
      log: { ...DEFAULT_LOG_SETTINGS, max_size_bytes: LOG_FILE_BYTES, keep_total_bytes: KEPT_LOG_BYTES },
    };
    if (fake) return scriptService(FLOOD, 'exec sleep 1000', { ...settings, envs: { ...settings.envs, FLOODS: port } });
    this.#root ??= makeRoot(dir);
    // What root in a guest has to do to come by the port.
    const bytes = port === 'control' ? renderMessage('ready') : Buffer.from(`${'x'.repeat(60)}\n`);
    const args = ['-e', FLOOD_PROGRAM, GUEST_PORTS[port], bytes.toString('hex')];
    return scriptService(FLOOD, '', { ...settings, rootfs: this.#root, command: 'perl', args });
  }

  /** The row of the service; null when there is none. Waits for a daemon that answers. */
  async #row(): Promise<ServiceStatus | null> {
    const { services } = await this.#options.host.client.services({ names: [], group: null });
    return services.find(({ name }) => name === FLOOD) ?? null;
  }

  /** Waits for the end of the service, which must have its name. False where it never ran. */
  async #awaitEnd(port: Port): Promise<boolean> {
    const { findings } = this.#options;
    let row: ServiceStatus | null = null;
    const isOver = await this.#comesTrue(END_TIMEOUT_MS, async () => {
      row = await this.#row();
      return row === null || hasEnded(row);
    });
    const told = describe(row);
    findings.tell(`  flood of ${port}: ${told}`);
    if (!isOver) findings.complain(`the service that floods its ${port} port goes on: ${told}`);
    else if (hasRun(row) && reasonOf(row) !== 'guest-flood' && !this.#wasHindered)
      findings.complain(`the service that flooded its ${port} port ended by another name: ${told}`);
    return reasonOf(row) === 'guest-flood';
  }

  /** Waits for more files than the service may keep, then for the removal of the oldest. False where it never ran. */
  async #awaitFiles(port: Port): Promise<boolean> {
    const { host, findings } = this.#options;
    let row: ServiceStatus | null = null;
    const isOver = await this.#comesTrue(END_TIMEOUT_MS, async () => {
      row = await this.#row();
      return row === null || hasEnded(row) || this.#files().some(({ number }) => number >= LOG_FILES);
    });
    findings.tell(`  flood of ${port}: ${describe(row)}`);
    if (!isOver) findings.complain(`the flood of ${port} does not fill ${LOG_FILES} log files: ${describe(row)}`);
    if (hasRun(row) && hasEnded(row) && !this.#wasHindered)
      findings.complain(`the service that floods its ${port} has ended: ${describe(row)}`);
    await this.#comesTrue(CLEAN_TIMEOUT_MS, async () => {
      await host.client.stop({ names: [FLOOD], group: null }).catch(allowUnknown);
      return true;
    });
    const isBounded = () => this.#files().reduce((sum, { size }) => sum + size, 0) <= KEPT_LOG_BYTES + SLACK_BYTES;
    if (!(await this.#comesTrue(CLEAN_TIMEOUT_MS, isBounded)))
      findings.complain(`the log files of the service that flooded its ${port} stay above their limit`);
    return hasRun(row) && !hasEnded(row);
  }

  /** True if it may have ended by another name: a file server that has inherited a low limit opens no program. */
  get #wasHindered(): boolean {
    return this.#options.host.wasShort(this.#startedAtMs);
  }

  /** As {@link comesTrue}, while one daemon has all of that time: another one begins anew. */
  async #comesTrue(deadlineMs: number, probe: () => boolean | Promise<boolean>): Promise<boolean> {
    const { host } = this.#options;
    for (;;) {
      const { pid } = host;
      if (await comesTrue(deadlineMs, probe)) return true;
      if (pid !== null && host.pid === pid) return false;
    }
  }

  #files(): { readonly number: number; readonly size: number }[] {
    const { logDir } = this.#options.paths;
    return readdirSync(logDir).flatMap((name) => {
      const parsed = parseFileName(name);
      if (parsed?.service !== FLOOD) return [];
      const size = statSync(join(logDir, name), { throwIfNoEntry: false })?.size ?? 0;
      return [{ number: parsed.number, size }];
    });
  }

  /** Removes the service, which a start that was cut off may have made later. */
  async clear(): Promise<void> {
    const { host, findings } = this.#options;
    const isRemoved = await this.#comesTrue(CLEAN_TIMEOUT_MS, async () => {
      await host.client.remove({ names: [FLOOD], group: null }).catch(allowUnknown);
      return (await this.#row()) === null;
    });
    if (!isRemoved) findings.complain(`${FLOOD} cannot be removed: ${describe(await this.#row().catch(() => null))}`);
  }
}

function makeRoot(dir: string): string {
  const root = join(dir, 'perl-root');
  mkdirSync(root);
  makePerlRoot(root);
  return root;
}

function hasEnded(row: ServiceStatus | null): boolean {
  return row?.status === 'Stopped' || row?.status === 'Failed';
}

/** True where its command was started: a start may be refused or cut off before. */
function hasRun(row: ServiceStatus | null): boolean {
  return row !== null && row.started_at !== null;
}

function reasonOf(row: ServiceStatus | null): string | null {
  return row?.reason ?? null;
}

function describe(row: ServiceStatus | null): string {
  if (row === null) return 'it is not known';
  const { status, reason, detail, error, exit_code } = row;
  return JSON.stringify({ status, reason, detail, error, exit_code });
}

/** A service that is not known needs no stop. */
function allowUnknown(error: unknown): void {
  if (errorCode(error) !== 'ServiceUnknown') throw error;
}
