/** The parts of one home, built and ended in order: what the daemon runs on, and what a program may run on without it. */
import { availableParallelism, freemem } from 'node:os';
import { Images } from '../images/image-jobs.ts';
import { ServiceImages } from '../images/service-images.ts';
import { systemClock } from '../lib/clock.ts';
import { errorText } from '../lib/errors.ts';
import type { Report } from '../lib/report.ts';
import { loadLogLimits, saveLogLimits } from '../logs/log-limits.ts';
import { LogThread } from '../logs/logs-thread.ts';
import { LogRetention } from '../logs/retention.ts';
import { MetricsThread } from '../metrics/metrics-thread.ts';
import { NetworkThread } from '../network/network-thread.ts';
import type { ThreadStatus } from '../protocol/http.ts';
import type { Job } from '../protocol/jobs.ts';
import type { HomeLogSettings } from '../protocol/service.ts';
import type { SavedState } from '../protocol/state.ts';
import { SpawnerProcess } from '../spawner/spawner-process.ts';
import { HomePaths, resolveHome } from '../state/paths.ts';
import { StateThread } from '../state/state-thread.ts';
import { FileStateStore, makeHome } from '../state/store.ts';
import type { OrchestratorContext } from '../supervisor/interfaces.ts';
import { StartSlots } from '../supervisor/start-slots.ts';
import { JobPool } from '../threads/job-pool.ts';
import { BACKENDS, type BackendRegistry, openBackends } from '../vm/backends.ts';
import { FifoMaker } from '../vm/host/fifos.ts';
import { lockHome } from './home-lock.ts';

/** Lines that come with a failure. */
const LAST_LINES = 10;

/** What to open. */
export interface RuntimeOptions {
  /** Home folder; `MONOCORE_HOME` or `~/.monocore` by default. Made if missing. */
  readonly home?: string;
  /** Gets what people should know; nothing by default. */
  readonly report?: Report;
  /** Threads that share the log streams; 1 by default. */
  readonly logWorkers?: number;
  /** Back ends of the services; QEMU and plain processes by default. */
  readonly backends?: BackendRegistry;
  /** See `SupervisorContext.onStep`. */
  readonly onStep?: NonNullable<OrchestratorContext['onStep']>;
}

/** The opened parts of a home. Main thread. */
export class Runtime implements OrchestratorContext {
  readonly clock = systemClock;
  readonly random = Math.random;
  /** What is free is MemAvailable of proc_meminfo(5), which libuv reads for it. */
  readonly bootSlots = new StartSlots({ slots: availableParallelism(), freeBytes: freemem });
  readonly paths: HomePaths;
  readonly report: Report;
  readonly onStep: NonNullable<OrchestratorContext['onStep']>;
  readonly state: StateThread;
  readonly store: FileStateStore;
  readonly jobs = new JobPool();
  readonly logs: LogThread;
  readonly metrics: MetricsThread;
  readonly network: NetworkThread;
  readonly spawner: SpawnerProcess;
  readonly imageStore: Images;
  readonly images: ServiceImages;
  readonly backends: OrchestratorContext['backends'];
  /** What an earlier runtime left, for `Orchestrator.open` to go on with. */
  ended: readonly SavedState[] = [];
  left: readonly SavedState[] = [];
  /** Called when the log worker was started again. */
  onLogsRestarted: () => void = () => {};
  readonly #closing = new AbortController();
  readonly closing: AbortSignal = this.#closing.signal;
  readonly #unlock: () => void;
  readonly #keeper: LogRetention;
  #limitsSaved: Promise<void> = Promise.resolve();

  private constructor(paths: HomePaths, options: RuntimeOptions, unlock: () => void) {
    const { report = () => {}, logWorkers = 1, backends = BACKENDS, onStep = () => {} } = options;
    this.paths = paths;
    this.report = report;
    this.onStep = onStep;
    this.#unlock = unlock;
    this.state = new StateThread(report);
    this.store = new FileStateStore(paths, this.state, this.clock);
    const runJob = <J extends Job>(job: J) => this.jobs.run(job);
    this.#keeper = new LogRetention({ logDir: paths.logDir, clock: this.clock, runJob, report });
    this.logs = new LogThread(paths.logDir, report, {
      workers: logWorkers,
      keeper: this.#keeper,
      runSearch: (job, options) => this.jobs.run(job, options),
      onRestart: () => this.onLogsRestarted(),
    });
    this.metrics = new MetricsThread(report);
    this.network = new NetworkThread(report);
    this.imageStore = new Images(this.jobs, paths);
    this.images = new ServiceImages(this.imageStore, paths.images);
    this.spawner = new SpawnerProcess(report);
    const host = { paths, spawner: this.spawner, fifos: new FifoMaker(this.spawner), runJob, prober: this.metrics };
    this.backends = openBackends(backends, host);
  }

  /**
   * Makes the home, takes its lock and starts the threads.
   *
   * @throws MonocoreError `HomeUnusable`, `DaemonRunning` when another process has the home, `ThreadDied`
   */
  static async open(options: RuntimeOptions = {}): Promise<Runtime> {
    const paths = new HomePaths(resolveHome(options.home));
    await makeHome(paths);
    const runtime = new Runtime(paths, options, await lockHome(paths.home));
    try {
      runtime.spawner.start();
      await Promise.all([runtime.logs.start(), runtime.metrics.thread.start(), runtime.state.thread.start()]);
      const { left, ended, broken } = await runtime.store.loadAll();
      for (const problem of broken) runtime.report('error', `a state file is left out: ${problem}`);
      const names = new Set(left.map(({ service }) => service.name));
      for (const { service } of [...ended, ...left]) runtime.#keeper.know(service.name, service.log);
      const limits = await loadLogLimits(paths.logLimits);
      if (limits) runtime.#keeper.limit(limits);
      runtime.#keeper.start();
      runtime.left = left;
      runtime.ended = ended.filter(({ service }) => !names.has(service.name));
    } catch (error) {
      await runtime.close();
      throw error;
    }
    return runtime;
  }

  threads(): ThreadStatus[] {
    const threads = [this.metrics.thread, this.state.thread, this.network.thread, this.jobs, this.spawner];
    return [...this.logs.status(), ...threads.map((thread) => thread.status())];
  }

  async lastLines(service: string, sinceMs: number): Promise<string[]> {
    const since = new Date(sinceMs).toISOString();
    const lines = await this.logs.lastLines(service, ['stdout', 'stderr'], LAST_LINES, since);
    return lines.length > 0 ? lines : this.logs.lastLines(service, ['console'], LAST_LINES, since);
  }

  limitLogs(settings: HomeLogSettings): void {
    this.#keeper.limit(settings);
    this.#limitsSaved = saveLogLimits(this.paths.logLimits, settings).catch((error: unknown) => {
      this.report('warn', `the limits of logs are not saved for the next daemon: ${errorText(error)}`);
    });
  }

  removeLogs(service: string): Promise<void> {
    return this.logs.removeLogs(service);
  }

  /** Ends the threads, in the order in which they get their input, and frees the home. VMs are not touched. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.metrics.stop();
    await this.network.stop();
    await this.logs.stop();
    this.#keeper.stop();
    await this.jobs.close();
    await this.spawner.stop();
    await this.store.flush();
    await this.state.stop();
    await this.#limitsSaved;
    this.#unlock();
  }
}
