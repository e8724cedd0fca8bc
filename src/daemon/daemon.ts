/** The daemon of one home: builds the parts, serves until told to end, ends them in order. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { followRequest } from '../images/image-jobs.ts';
import { isoTime } from '../lib/clock.ts';
import { errorCode, errorText } from '../lib/errors.ts';
import { EventLoopBatch } from '../lib/event-loop-batch.ts';
import { packageVersion } from '../lib/package-info.ts';
import type { Report } from '../lib/report.ts';
import { readLogs } from '../logs/log-reading.ts';
import { Orchestrator } from '../orchestrator/orchestrator.ts';
import type { ApiThreadApi, ControlApi, ControlEvent } from '../protocol/api.ts';
import type { DaemonSettings, DaemonStatus, LogLevel } from '../protocol/http.ts';
import type { LogQuery } from '../protocol/log-files/queries.ts';
import { expose, transfer } from '../threads/rpc.ts';
import { WorkerThread } from '../threads/worker-thread.ts';
import { openDaemonLog } from './daemon-log.ts';
import { closeStrayDescriptors } from './inherited-descriptors.ts';
import { Runtime } from './runtime.ts';
import { ServiceNotifier, takeNotifySocket } from './sd-notify.ts';
import { takePrecedence } from './session-priority.ts';
import { type End, listenForEnd } from './shutdown.ts';

/** A thread that can be ended as a crash would. */
export type CrashableThread = Pick<WorkerThread<never>, 'name' | 'crash'>;

/** How to run it. */
export interface DaemonOptions {
  /** Absolute path, see `resolveHome`. */
  readonly home: string;
  /** Least severe level of the daemon's own log. */
  readonly logLevel: LogLevel;
  /** True: started by a command, which watches for readiness; nothing is printed. */
  readonly background: boolean;
  /** Threads that share the log streams; 1 by default. */
  readonly logWorkers?: number;
  /** A signal ends the daemon without its services; with them by default. */
  readonly leaveRunning?: boolean;
  /** Called when it serves, with its threads and the spawner, so that tests can crash them. */
  readonly onServing?: (threads: readonly CrashableThread[]) => void;
}

/** Asks for no record at all, and is served like any other query. */
const NOTHING: LogQuery = { services: [], streams: [], tail: 0, follow: false };

/** What only the daemon has: the orchestrator of everybody's services, the api thread, a service manager's ear. */
class Daemon {
  readonly #runtime: Runtime;
  readonly #orchestrator: Orchestrator;
  readonly #settings: DaemonSettings;
  readonly #notifier: ServiceNotifier | null;
  readonly #api: WorkerThread<ApiThreadApi>;
  readonly #startedAtMs = Date.now();
  readonly #published = new EventLoopBatch<ControlEvent>((events) => this.#api.tell((api) => api.publish(events)));

  constructor(
    runtime: Runtime,
    orchestrator: Orchestrator,
    settings: DaemonSettings,
    notifier: ServiceNotifier | null,
    requestEnd: (end: End) => void,
  ) {
    const { report } = runtime;
    this.#runtime = runtime;
    this.#orchestrator = orchestrator;
    this.#settings = settings;
    this.#notifier = notifier;
    this.#api = new WorkerThread<ApiThreadApi>({
      entry: 'api',
      data: () => {
        const control = this.#openControl(requestEnd);
        const logs = this.#openLogs();
        return { data: { socketPath: runtime.paths.socket, control, logs }, transferList: [control, logs] };
      },
      deadlines: { defaultMs: 10_000 },
      onReady: (api) => api.listen(),
      onDeath: (error) => report('error', `${error.message}; it is started again`),
    });
    this.#orchestrator.on('event', (event) => {
      this.#published.add(event);
      this.#notifier?.status(this.#summary());
    });
    runtime.onLogsRestarted = () => {
      const port = this.#openLogs();
      this.#api.tell((api) => api.connectLogs(transfer(port, [port])));
    };
  }

  /** Answers from now on. What earlier daemons left is taken over by then. */
  async start(): Promise<void> {
    await this.#api.start();
    this.#notifier?.ready(this.#summary());
  }

  get threads(): readonly CrashableThread[] {
    const { logs, metrics, state, network, jobs, spawner } = this.#runtime;
    const threads = [...logs.workers, metrics.thread, state.thread, network.thread, this.#api, spawner];
    return [...threads, { name: 'jobs', crash: () => jobs.crash() }];
  }

  /** Stops the services unless they are to be left, then refuses new work and ends the threads. */
  async end({ services }: End): Promise<void> {
    this.#notifier?.stopping(services === 'leave' ? 'ending, services run on' : 'stopping all services');
    if (services !== 'leave') await this.#orchestrator.end({ suspend: services === 'suspend' });
    await this.close();
  }

  /** Ends the threads; services run on. */
  async close(): Promise<void> {
    // Without threads there is nothing to be alive; what is left takes a moment.
    await this.#notifier?.close();
    await this.#api.stop((api) => api.close());
    await this.#runtime.close();
  }

  /** Shortens the stop of everything to its last rungs: the second Ctrl-C. */
  hurry({ services }: End): void {
    void this.#orchestrator.end({ suspend: services === 'suspend', timeoutMs: 0 });
  }

  #status(): DaemonStatus {
    return {
      pid: process.pid,
      version: packageVersion(),
      started_at: isoTime(this.#startedAtMs),
      home: this.#runtime.paths.home,
      threads: [...this.#runtime.threads(), this.#api.status()],
      services: this.#orchestrator.services().length,
      settings: this.#settings,
    };
  }

  /** For people. */
  #summary(): string {
    const services = this.#orchestrator.services();
    const running = services.filter(({ pid }) => pid !== null).length;
    return `${services.length} ${services.length === 1 ? 'service' : 'services'}, ${running} running`;
  }

  /** A port of the api thread to this one. */
  #openControl(requestEnd: (end: End) => void): MessagePort {
    const { port1, port2 } = new MessageChannel();
    const orchestrator = this.#orchestrator;
    const images = this.#runtime.imageStore;
    const control: ControlApi = {
      start: ({ config, names, group, ...options }) => orchestrator.start(config, { names, group }, options),
      plan: async ({ config, names, group, ...options }) => orchestrator.plan(config, { names, group }, options),
      stop: ({ timeout_ms, ...selection }) => orchestrator.stop(selection, timeout_ms),
      restart: ({ timeout_ms, ...selection }) => orchestrator.restart(selection, timeout_ms),
      remove: ({ timeout_ms, ...selection }) => orchestrator.remove(selection, timeout_ms),
      images: () => images.list(),
      pullImages: (request, replies) => followRequest(replies, (options) => images.pull(request, options)),
      loadImages: (request, replies) => followRequest(replies, (options) => images.load(request, options)),
      removeImages: (request) => images.remove(request),
      pruneImages: () => images.prune(),
      services: async () => orchestrator.services(),
      daemon: async () => this.#status(),
      stopDaemon: async ({ leave_running }) => requestEnd({ services: leave_running ? 'leave' : 'stop' }),
    };
    expose(control, port1);
    return port2;
  }

  /** A port of the api thread to the log worker, past this thread. */
  #openLogs(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#runtime.logs.connect(port1);
    return port2;
  }
}

/** Reports to the daemon's log once it is open; what comes before waits. */
function deferReports(): { report: Report; open: (sink: Report) => void } {
  const early: Parameters<Report>[] = [];
  let sink: Report = (...entry) => early.push(entry);
  return {
    report: (...entry) => sink(...entry),
    open(opened) {
      sink = opened;
      for (const entry of early.splice(0)) opened(...entry);
    },
  };
}

/** Resolves when each log worker has served a reader: its thread works on what it is given. */
async function checkLogWorkers({ logs }: Runtime): Promise<void> {
  await Promise.all(
    logs.workers.map(async (thread) => {
      try {
        await readLogs(await thread.ready(), NOTHING, () => {});
      } catch (error) {
        // That its folder cannot be read is an answer, too.
        if (errorCode(error) !== 'Internal') throw error;
      }
    }),
  );
}

/**
 * Runs the daemon until it is told to end: by `POST /v1/daemon/stop`, SIGTERM or SIGINT. A second signal shortens the
 * stop. In the foreground a service manager is told, see `daemon-notify.ts`; its variables are taken out of the
 * environment in any case. Main thread of a process of its own.
 *
 * @returns the exit code of the process
 * @throws MonocoreError `HomeUnusable`, `DaemonRunning`, `ThreadDied` when it cannot start
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  closeStrayDescriptors();
  takePrecedence();
  const { background, leaveRunning = false } = options;
  const reports = deferReports();
  const notifySocket = takeNotifySocket(process.env, process.pid);
  let daemon: Daemon | null = null;
  let isHurried = false;
  // From the first moment on: by default a signal would end the process and leave services that it is to stop.
  const ending = listenForEnd({
    onSignal: { services: leaveRunning ? 'leave' : 'suspend' },
    report: reports.report,
    hurry(end) {
      isHurried = true;
      daemon?.hurry(end);
    },
  });
  try {
    // The home is locked first: a daemon that is refused must not touch the log of the one that runs.
    const { home, logLevel, logWorkers = 1 } = options;
    const runtime = await Runtime.open({ home, report: reports.report, logWorkers });
    const log = await openDaemonLog({ file: runtime.paths.daemonLog, level: logLevel }).catch(async (error) => {
      await runtime.close();
      throw error;
    });
    reports.open((level, message, data = {}) => log.logger[level](data, message));
    process.on('uncaughtExceptionMonitor', (error) => log.fatal(error));
    // One in the background is nobody's service, whatever it has inherited.
    const notifier =
      notifySocket === null || background
        ? null
        : new ServiceNotifier({
            socket: notifySocket,
            clock: runtime.clock,
            report: reports.report,
            checkAlive: () => checkLogWorkers(runtime),
          });
    const settings = { log_level: logLevel, log_workers: logWorkers, background, leave_running: leaveRunning };
    try {
      daemon = new Daemon(
        runtime,
        await Orchestrator.open(runtime, { startsAll: !background }),
        settings,
        notifier,
        ending.request,
      );
      await daemon.start();
      reports.report('info', `ready, version ${packageVersion()}`, { pid: process.pid, home });
      options.onServing?.(daemon.threads);
      if (!background) process.stderr.write(`monocore: the daemon of ${home} is ready\n`);
      const end = await ending.requested;
      reports.report('info', end.services === 'leave' ? 'ending; services run on' : 'ending with all services');
      const ended = daemon.end(end);
      if (isHurried) daemon.hurry(end);
      await ended;
      return 0;
    } catch (error) {
      reports.report('error', errorText(error), { err: error });
      // Its threads would keep the process alive.
      await (daemon ?? runtime).close().catch(() => {});
      throw error;
    } finally {
      await log.close();
    }
  } finally {
    ending.release();
  }
}
