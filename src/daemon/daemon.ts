/**
 * Composition root: `Runtime` builds the parts of a home and closes them in order; `runDaemon` serves them until a
 * shutdown is requested. The library uses a `Runtime` without the daemon.
 *
 * Long because all parts are put together here.
 */
import { availableParallelism, freemem } from 'node:os';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Images } from '../images/image-jobs.ts';
import { ServiceImages } from '../images/service-images.ts';
import { isoTime, systemClock } from '../lib/clock.ts';
import { errorCode, errorTextWithPath } from '../lib/errors.ts';
import { EventLoopBatch } from '../lib/event-loop-batch.ts';
import { packageVersion } from '../lib/package-info.ts';
import type { ProcessIdentity } from '../lib/proc.ts';
import type { Report } from '../lib/report.ts';
import { readLogs } from '../logs/log-reading.ts';
import { LogThread } from '../logs/logs-thread.ts';
import { LogRetention } from '../logs/retention.ts';
import { MetricsThread } from '../metrics/metrics-thread.ts';
import { NetworkThread } from '../network/network-thread.ts';
import { Orchestrator } from '../orchestrator/orchestrator.ts';
import type { ApiThreadApi, ControlEvent } from '../protocol/api.ts';
import type { DaemonSettings } from '../protocol/http.ts';
import type { Job } from '../protocol/jobs.ts';
import type { LogQuery } from '../protocol/log-files/queries.ts';
import type { HomeLogSettings } from '../protocol/log-settings.ts';
import type { ProjectSettings } from '../protocol/service.ts';
import type { SavedState } from '../protocol/state.ts';
import { SpawnerProcess } from '../spawner/spawner-process.ts';
import { HomePaths, resolveHome } from '../state/paths.ts';
import { loadProjectSettings, saveProjectSettings } from '../state/project-settings.ts';
import { StateThread } from '../state/state-thread.ts';
import { FileStateStore, makeHome } from '../state/store.ts';
import type { LostService, OrchestratorContext } from '../supervisor/interfaces.ts';
import { StartSlots } from '../supervisor/start-slots.ts';
import { JobPool } from '../threads/job-pool.ts';
import { expose, transfer } from '../threads/rpc.ts';
import { WorkerThread } from '../threads/worker-thread.ts';
import { BACKENDS, type BackendRegistry, openBackends } from '../vm/backends.ts';
import { FifoMaker } from '../vm/host/fifos.ts';
import { endStrays } from '../vm/host/strays.ts';
import { createControlApi } from './control-api.ts';
import { lockHome } from './home-lock.ts';
import { closeInheritedDescriptors } from './inherited-descriptors.ts';
import { ServiceNotifier, takeNotifySocket } from './sd-notify.ts';
import { raiseSessionPriority } from './session-priority.ts';
import { listenForShutdown, type ShutdownRequest } from './shutdown.ts';
import { type Crashable, crashByName, type TestHooks } from './test-hooks.ts';

/** Number of output lines that explain a failed start. */
const LAST_LINES = 10;

export interface RuntimeOptions {
  /** Home folder; `MONOCORE_HOME` or `~/.monocore` by default. Created if missing. */
  readonly home?: string;
  /** Receives messages for people; by default they are dropped. */
  readonly report?: Report;
  /** Number of threads that share the log streams; 1 by default. */
  readonly logWorkers?: number;
  /** Back ends for services; QEMU and plain processes by default. */
  readonly backends?: BackendRegistry;
  readonly hooks?: TestHooks;
}

/** Parts of an open home. Main thread. */
export class Runtime implements OrchestratorContext {
  readonly clock = systemClock;
  readonly random = Math.random;
  /** Free memory is MemAvailable from proc_meminfo(5), as libuv reports it. */
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
  /** Saved states left by an earlier runtime, for `Orchestrator.open`. */
  ended: readonly SavedState[] = [];
  left: readonly SavedState[] = [];
  lost: readonly LostService[] = [];
  savedSettings: readonly ProjectSettings[] = [];
  /** Called after a restart of the log worker that serves readers. */
  onLogsRestarted: () => void = () => {};
  readonly #closing = new AbortController();
  readonly closing: AbortSignal = this.#closing.signal;
  readonly #unlock: () => void;
  readonly #retention: LogRetention;
  #settingsSaved: Promise<void> = Promise.resolve();

  private constructor(paths: HomePaths, options: RuntimeOptions, unlock: () => void) {
    const { report = () => {}, logWorkers = 1, backends = BACKENDS, hooks = {} } = options;
    this.paths = paths;
    this.report = report;
    this.onStep = hooks.onStep ?? (() => {});
    this.#unlock = unlock;
    this.state = new StateThread(report);
    this.store = new FileStateStore(paths, this.state, this.clock);
    const runJob = <J extends Job>(job: J) => this.jobs.run(job);
    this.#retention = new LogRetention({ logDir: paths.logDir, clock: this.clock, runJob, report });
    this.logs = new LogThread(paths.logDir, report, {
      workers: logWorkers,
      retention: this.#retention,
      runSearch: (job, searchOptions) => this.jobs.run(job, searchOptions),
      runMatch: (job, matchOptions) => this.jobs.run(job, matchOptions),
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
   * Creates the home if necessary, locks it and starts the threads.
   *
   * @throws MonocoreError `HomeUnusable`, `DaemonRunning` if another process has locked the home, `ThreadDied`
   */
  static async open(options: RuntimeOptions = {}): Promise<Runtime> {
    const paths = new HomePaths(resolveHome(options.home));
    const warning = await makeHome(paths);
    const runtime = new Runtime(paths, options, await lockHome(paths));
    if (warning !== null) runtime.report('warn', warning);
    try {
      await runtime.#start();
    } catch (error) {
      await runtime.close();
      throw error;
    }
    return runtime;
  }

  async #start(): Promise<void> {
    this.spawner.start();
    await Promise.all([this.logs.start(), this.metrics.thread.start(), this.state.thread.start()]);
    const { left, ended, lost, broken } = await this.store.loadAll();
    for (const problem of broken) this.report('error', `a state file is ignored: ${problem}`);
    const names = new Set(left.map(({ service }) => service.name));
    for (const { service } of [...ended, ...left]) this.#retention.know(service.name, service.log);
    this.savedSettings = await loadProjectSettings(this.paths.settings).catch((error: unknown) => {
      this.report('warn', `the settings of projects are ignored: ${errorTextWithPath(error)}`);
      return [];
    });
    this.#retention.start();
    this.left = left;
    this.lost = lost;
    this.ended = ended.filter(({ service }) => !names.has(service.name));
  }

  /** Threads, job pool and spawner. */
  get parts(): readonly Crashable[] {
    const { logs, metrics, state, network, jobs, spawner } = this;
    return [...logs.workers, metrics.thread, state.thread, network.thread, jobs, spawner];
  }

  async lastLines(service: string, sinceMs: number): Promise<string[]> {
    const since = isoTime(sinceMs);
    const lines = await this.logs.lastLinesSince(service, ['stdout', 'stderr'], LAST_LINES, since);
    return lines.length > 0 ? lines : this.logs.lastLinesSince(service, ['console'], LAST_LINES, since);
  }

  endStrays(service: string, identity: ProcessIdentity | null): Promise<number> {
    return endStrays(this.paths.vm(service).dir, identity);
  }

  limitLogs(settings: HomeLogSettings): void {
    this.#retention.limit(settings);
  }

  saveSettings(settings: readonly ProjectSettings[]): void {
    this.#settingsSaved = saveProjectSettings(this.paths.settings, settings).catch((error: unknown) => {
      this.report('warn', `the settings of projects are not saved for the next daemon: ${errorTextWithPath(error)}`);
    });
  }

  removeLogs(service: string): Promise<void> {
    return this.logs.removeLogs(service);
  }

  /** Ends the threads, each before those that it feeds, and unlocks the home. VMs keep running. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const backend of Object.values(this.backends)) backend.leave();
    await this.metrics.thread.stop();
    await this.network.thread.stop();
    await this.logs.stop();
    this.#retention.stop();
    await this.jobs.close();
    await this.spawner.stop();
    await this.store.flush();
    await this.state.thread.stop();
    await this.#settingsSaved;
    this.#unlock();
  }
}

export interface DaemonOptions extends Pick<RuntimeOptions, 'backends' | 'hooks'> {
  /** Absolute path, see `resolveHome`. */
  readonly home: string;
  readonly settings: DaemonSettings;
}

/**
 * Assembles the parts that only the daemon has: the orchestrator of all services, the api thread and the link to a
 * service manager.
 */
function createDaemon(
  runtime: Runtime,
  orchestrator: Orchestrator,
  settings: DaemonSettings,
  notifier: ServiceNotifier | null,
  requestShutdown: (request: ShutdownRequest) => void,
) {
  const { report, paths, imageStore } = runtime;
  const parts = (): readonly Crashable[] => [...runtime.parts, api];
  const threads = () => parts().map((part) => part.status());
  const { home } = paths;
  const controlApi = createControlApi({ home, settings }, orchestrator, imageStore, threads, requestShutdown);
  /** Opens a port between the api thread and the log worker that bypasses this thread. */
  const openLogs = (): MessagePort => {
    const { port1, port2 } = new MessageChannel();
    runtime.logs.connect(port1);
    return port2;
  };
  const api = new WorkerThread<ApiThreadApi>({
    entry: 'api',
    data: () => {
      const { port1, port2: control } = new MessageChannel();
      expose(controlApi, port1);
      const logs = openLogs();
      return { data: { socketPath: paths.socket, control, logs }, transferList: [control, logs] };
    },
    deadlines: { defaultMs: 10_000 },
    onReady: (remote) => remote.listen(),
    onDeath: (error) => report('error', `${error.message}; restarting it`),
  });
  /** Summary for a service manager: `3 services, 2 running`. */
  const summary = (): string => {
    const services = orchestrator.services();
    const running = services.filter(({ pid }) => pid !== null).length;
    return `${services.length} ${services.length === 1 ? 'service' : 'services'}, ${running} running`;
  };
  const published = new EventLoopBatch<ControlEvent>((events) => api.tell((remote) => remote.publish(events)));
  orchestrator.on('event', (event) => {
    published.add(event);
    notifier?.status(summary());
  });
  runtime.onLogsRestarted = () => {
    const port = openLogs();
    api.tell((remote) => remote.connectLogs(transfer(port, [port])));
  };
  /** Ends the threads; services keep running. */
  const close = async (lastStatus = 'failed; the log of the daemon says why'): Promise<void> => {
    // First, because the notifier checks that the threads respond.
    await notifier?.close(lastStatus);
    await api.stop((remote) => remote.close());
    await runtime.close();
  };
  return {
    parts,
    close,
    async start(): Promise<void> {
      await api.start();
      notifier?.ready(summary());
    },
    /** Stops the services unless they should keep running, then refuses new work and ends the threads. */
    async shutDown({ services }: ShutdownRequest): Promise<void> {
      notifier?.stopping(services === 'leave' ? 'ending; services keep running' : 'stopping all services');
      if (services !== 'leave') await orchestrator.end({ suspend: services === 'suspend' });
      await close(services === 'leave' ? `ended; ${summary()}` : 'ended with all services');
    },
    /** Skips to the last steps of stopping all services. */
    hurry({ services }: ShutdownRequest): void {
      void orchestrator.end({ suspend: services === 'suspend', timeoutMs: 0 });
    },
  };
}

/** Resolves when each log worker has answered a read. */
async function checkLogWorkers({ logs }: Runtime): Promise<void> {
  const withoutRecords: LogQuery = { services: [], streams: [], tail: 0, follow: false };
  const checks = logs.workers.map(async (thread) => {
    try {
      await readLogs(await thread.ready(), withoutRecords, () => {});
    } catch (error) {
      // An error about an unreadable folder is also an answer.
      if (errorCode(error) !== 'Internal') throw error;
    }
  });
  await Promise.all(checks);
}

/**
 * Runs the daemon until `POST /v1/daemon/stop`, SIGTERM or SIGINT. A second signal shortens the stop. In the foreground
 * it reports its state to a service manager, see `sd-notify.ts`; the manager's variables are always removed from the
 * environment. Needs the main thread of a process of its own.
 *
 * @returns the exit code of the process
 * @throws MonocoreError `HomeUnusable`, `DaemonRunning`, `ThreadDied` if it cannot start
 */
export async function runDaemon({ home, settings, backends = BACKENDS, hooks = {} }: DaemonOptions): Promise<number> {
  closeInheritedDescriptors();
  raiseSessionPriority();
  const { log_level: level, log_workers: logWorkers, background, leave_running } = settings;
  // Buffered until the log of the daemon is open.
  const earlyReports: Parameters<Report>[] = [];
  let writeReport: Report = (...entry) => earlyReports.push(entry);
  const report: Report = (...entry) => writeReport(...entry);
  const notifySocket = takeNotifySocket(process.env, process.pid);
  let daemon: ReturnType<typeof createDaemon> | null = null;
  let isHurried = false;
  // From the very beginning, because by default a signal would end the process and leave its services running.
  const hurry = (request: ShutdownRequest): void => {
    isHurried = true;
    daemon?.hurry(request);
  };
  const shutdown = listenForShutdown({ services: leave_running ? 'leave' : 'suspend' }, hurry, report);
  try {
    // pino takes 50 ms to load, and programs that use the library do not need it.
    const logModule = import('./daemon-log.ts');
    // Locks the home first: a second daemon must not touch the log of the first.
    const runtime = await Runtime.open({ home, report, logWorkers, backends, hooks });
    const log = await logModule
      .then(({ openDaemonLog }) => openDaemonLog({ file: runtime.paths.daemonLog, level }))
      .catch(async (error) => {
        await runtime.close();
        throw error;
      });
    writeReport = (level, message, data = {}) => log.logger[level](data, message);
    for (const entry of earlyReports) report(...entry);
    process.on('uncaughtExceptionMonitor', (error) => log.fatal(error));
    const { clock } = runtime;
    const checkAlive = () => checkLogWorkers(runtime);
    // A background daemon is not managed, even if it has inherited the variables of a manager.
    const isManaged = notifySocket !== null && !background;
    const notifier = isManaged ? new ServiceNotifier({ socket: notifySocket, clock, report, checkAlive }) : null;
    try {
      const orchestrator = await Orchestrator.open(runtime, { startsAll: !background });
      daemon = createDaemon(runtime, orchestrator, settings, notifier, shutdown.request);
      const parts = daemon.parts();
      await daemon.start();
      report('info', `ready, version ${packageVersion()}`, { pid: process.pid, home });
      hooks.onServing?.((name) => crashByName(parts, name));
      if (!background) process.stderr.write(`monocore: the daemon of ${home} is ready\n`);
      const request = await shutdown.requested;
      report('info', request.services === 'leave' ? 'ending; services keep running' : 'ending with all services');
      const ended = daemon.shutDown(request);
      if (isHurried) daemon.hurry(request);
      await ended;
      return 0;
    } catch (error) {
      report('error', errorTextWithPath(error), { err: error });
      // Otherwise its threads would keep the process alive.
      await (daemon ?? runtime).close().catch(() => {});
      throw error;
    } finally {
      await log.close();
    }
  } finally {
    shutdown.release();
  }
}
