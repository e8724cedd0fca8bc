/** Looks all the time whether what must always be true is. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import * as v from 'valibot';
import { errorCode, errorText } from '../../src/lib/errors.ts';
import type { ServiceStatus } from '../../src/protocol/service.ts';
import { SavedStateSchema } from '../../src/protocol/state.ts';
import type { HomePaths } from '../../src/state/paths.ts';
import type { DaemonHost } from './daemon-host.ts';
import type { Findings } from './findings.ts';
import { findProcess, findServiceProcesses } from './processes.ts';
import type { Projects } from './projects.ts';
import type { RowBook } from './row-book.ts';
import type { StartBook } from './start-book.ts';

const HOST_INTERVAL_MS = 200;
const ROWS_INTERVAL_MS = 500;
const RECONNECT_DELAY_MS = 100;
/** A process that has ended is noticed within a fraction of a second; a busy host may need more. */
const NOTICE_TIMEOUT_MS = 15_000;

/** Time that a state may stay unsaved after a shortage: until the next change of the service. */
const UNSAVED_MS = 15_000;

/** Inputs of the monitor and receivers of its observations. */
interface MonitorOptions {
  readonly paths: HomePaths;
  readonly host: DaemonHost;
  readonly rows: RowBook;
  readonly starts: StartBook;
  readonly projects: Projects;
  /** Services that were started at the begin. */
  readonly services: readonly string[];
  /** Services that may be removed. */
  readonly passing: readonly string[];
  readonly findings: Findings;
}

/** The rows of a moment. */
interface Snapshot {
  readonly atMs: number;
  readonly daemonPid: number | null;
  readonly rows: ReadonlyMap<string, ServiceStatus>;
}

/** Looks at processes and state files by itself, at the rest through the daemon. */
export class Monitor {
  readonly #options: MonitorOptions;
  readonly #stop = new AbortController();
  #loops: Promise<unknown> = Promise.resolve();
  #last: Snapshot | null = null;
  /** When the process of a run was missed first, by service and pid. */
  readonly #missedAtMs = new Map<string, number>();

  constructor(options: MonitorOptions) {
    this.#options = options;
  }

  start(): void {
    this.#loops = Promise.all([
      this.#repeat(HOST_INTERVAL_MS, async () => this.#lookAtHost()),
      this.#repeat(ROWS_INTERVAL_MS, () => this.#lookAtRows()),
      this.#repeat(RECONNECT_DELAY_MS, () => this.#followEvents()),
    ]);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loops;
  }

  /** Calls again and again; a daemon that does not answer is no fault while it may be down. */
  async #repeat(intervalMs: number, look: () => Promise<void>): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await look().catch((error: unknown) => {
        if (errorCode(error) === undefined) throw error;
      });
      await delay(intervalMs, undefined, { signal }).catch(() => {});
    }
  }

  #lookAtHost(): void {
    const { paths, findings, passing } = this.#options;
    const first = findServiceProcesses(paths.runDir);
    for (const [service, pids] of first) {
      if (pids.length < 2) continue;
      // One of them may have ended while the other was looked at.
      const still = pids.filter((pid) => findProcess(pid) !== null);
      if (still.length > 1) findings.complain(`${service} has ${still.length} processes at once: ${still.join(', ')}`);
    }
    for (const dir of [paths.runDir, paths.endedDir]) {
      const files = readdirSync(dir).filter((name) => name.endsWith('.json'));
      // Those of passing services are damaged now and then.
      const checked = files.filter((name) => !passing.includes(basename(name, '.json')));
      for (const name of checked) this.#checkStateFile(join(dir, name));
    }
  }

  #checkStateFile(path: string): void {
    try {
      v.parse(SavedStateSchema, JSON.parse(readFileSync(path, 'utf8')));
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return;
      this.#options.findings.complain(`${basename(path)} is no state file: ${errorText(error)}`);
    }
  }

  async #lookAtRows(): Promise<void> {
    const { host, rows: book } = this.#options;
    const atMs = performance.now();
    const daemonPid = host.pid;
    const { services } = await host.client.services({ names: [], group: null });
    for (const row of services) book.take(row);
    const snapshot: Snapshot = { atMs, daemonPid, rows: new Map(services.map((row) => [row.name, row])) };
    for (const row of services) this.#checkProcess(row);
    this.#checkPresence(snapshot);
    if (this.#last) this.#checkRestarts(this.#last, snapshot);
    this.#last = snapshot;
  }

  #checkProcess({ name, status, pid }: ServiceStatus): void {
    const key = `${name} ${pid}`;
    if (status !== 'Started' || pid === null || findProcess(pid)) {
      this.#missedAtMs.delete(key);
      return;
    }
    const nowMs = performance.now();
    const missedAtMs = this.#missedAtMs.get(key) ?? nowMs;
    this.#missedAtMs.set(key, missedAtMs);
    if (nowMs - missedAtMs < NOTICE_TIMEOUT_MS) return;
    this.#options.findings.complain(`${name} is Started, but its process ${pid} has been gone for long`);
  }

  #checkPresence({ rows }: Snapshot): void {
    const { services, passing, projects, findings } = this.#options;
    for (const service of services) {
      if (passing.includes(service)) continue;
      const row = rows.get(service);
      const { project } = projects.ownerOf(service);
      if (!row) findings.complain(`${service} is not known any more`);
      else if (row.project?.folder !== project.folder)
        findings.complain(`${service} of the project ${project.name} belongs to ${row.project?.name ?? 'none'}`);
    }
  }

  #checkRestarts(last: Snapshot, now: Snapshot): void {
    const { starts, findings, host } = this.#options;
    for (const [name, { restarts }] of now.rows) {
      const before = last.rows.get(name)?.restarts ?? 0;
      const pids = [last.daemonPid, now.daemonPid];
      // What a shortage kept a daemon from saving dies with it.
      const isUnsaved = last.daemonPid !== now.daemonPid && host.wasShort(last.atMs - UNSAVED_MS);
      if (restarts >= before || isUnsaved || starts.mayHaveStarted(name, last.atMs, pids)) continue;
      findings.complain(`${name} had ${before} restarts and has ${restarts}, though nobody started it`);
    }
  }

  async #followEvents(): Promise<void> {
    for await (const event of await this.#options.host.client.events(this.#stop.signal)) {
      if (event.type === 'service') this.#options.rows.take(event.service);
      else if (!this.#options.passing.includes(event.name))
        this.#options.findings.complain(`${event.name} was removed`);
    }
  }
}
