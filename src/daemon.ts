/** The daemon of one home: builds the parts, serves until told to end, ends them in order. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { isoTime } from './clock.ts';
import { openDaemonLog } from './daemon-log.ts';
import { errorText } from './errors.ts';
import { Orchestrator } from './lifecycle/orchestrator.ts';
import type { Report } from './lifecycle/ports.ts';
import { packageVersion } from './package-info.ts';
import type { ApiThreadApi } from './protocol/api.ts';
import type { ControlApi, DaemonStatus, LogLevel } from './protocol/control.ts';
import { Runtime } from './runtime.ts';
import { expose, transfer } from './threads/comlink.ts';
import { ThreadService } from './threads/service.ts';

/** A thread that can be ended as a crash would. */
export type CrashableThread = Pick<ThreadService<never>, 'name' | 'crash'>;

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
  /** Called when it serves, with its threads, so that tests can crash them. */
  readonly onServing?: (threads: readonly CrashableThread[]) => void;
}

/** How the daemon is to end. */
interface End {
  /** VMs run on without it. */
  readonly leaveRunning: boolean;
}

/** The parts that only the daemon has: the orchestrator of everybody's services, and the api thread. */
class Daemon {
  readonly #runtime: Runtime;
  readonly #orchestrator: Orchestrator;
  readonly #api: ThreadService<ApiThreadApi>;
  readonly #startedAtMs = Date.now();

  constructor(runtime: Runtime, orchestrator: Orchestrator, requestEnd: (end: End) => void) {
    const { report } = runtime;
    this.#runtime = runtime;
    this.#orchestrator = orchestrator;
    this.#api = new ThreadService<ApiThreadApi>({
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
    this.#orchestrator.on('event', (event) => this.#api.tell((api) => api.publish(event)));
    runtime.onLogsRestarted = () => {
      const port = this.#openLogs();
      this.#api.tell((api) => api.connectLogs(transfer(port, [port])));
    };
  }

  async start(): Promise<void> {
    await this.#api.start();
  }

  get threads(): readonly CrashableThread[] {
    const { logs, metrics } = this.#runtime;
    return [...logs.workers, metrics.thread, this.#api];
  }

  /** Stops the services unless they are to be left, then refuses new work and ends the threads. */
  async end({ leaveRunning }: End): Promise<void> {
    if (!leaveRunning) await this.#orchestrator.end();
    await this.#api.stop((api) => api.close());
    await this.#runtime.close();
  }

  /** Shortens the stop of everything to its last rungs: the second Ctrl-C. */
  hurry(): void {
    void this.#orchestrator.stop(undefined, 0);
  }

  #status(): DaemonStatus {
    return {
      pid: process.pid,
      version: packageVersion(),
      started_at: isoTime(this.#startedAtMs),
      home: this.#runtime.paths.home,
      threads: [...this.#runtime.threads(), this.#api.status()],
      services: this.#orchestrator.services().length,
    };
  }

  /** A port of the api thread to this one. */
  #openControl(requestEnd: (end: End) => void): MessagePort {
    const { port1, port2 } = new MessageChannel();
    const orchestrator = this.#orchestrator;
    const control: ControlApi = {
      start: ({ config, ...selection }) => orchestrator.start(config, selection),
      stop: ({ timeout_ms, ...selection }) => orchestrator.stop(selection, timeout_ms),
      restart: ({ timeout_ms, ...selection }) => orchestrator.restart(selection, timeout_ms),
      remove: ({ timeout_ms, ...selection }) => orchestrator.remove(selection, timeout_ms),
      services: async () => orchestrator.services(),
      daemon: async () => this.#status(),
      stopDaemon: async ({ leave_running }) => requestEnd({ leaveRunning: leave_running }),
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

/**
 * Runs the daemon until it is told to end: by `POST /v1/daemon/stop`, SIGTERM or SIGINT. A second signal shortens the
 * stop. Main thread of a process of its own.
 *
 * @returns the exit code of the process
 * @throws MonocoreError `HomeUnusable`, `DaemonRunning`, `ThreadDied` when it cannot start
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const reports = deferReports();
  // The home is locked first: a daemon that is refused must not touch the log of the one that runs.
  const { home, logWorkers = 1 } = options;
  const runtime = await Runtime.open({ home, report: reports.report, logWorkers });
  const log = await openDaemonLog({ file: runtime.paths.daemonLog, level: options.logLevel });
  reports.open((level, message, data = {}) => log.logger[level](data, message));
  process.on('uncaughtExceptionMonitor', (error) => log.fatal(error));

  let requestEnd: (end: End) => void = () => {};
  const requested = new Promise<End>((resolve) => {
    requestEnd = resolve;
  });
  const daemon = new Daemon(runtime, await Orchestrator.open(runtime), requestEnd);
  let signals = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    signals += 1;
    reports.report('info', `got ${signal}`);
    if (signals > 1) daemon.hurry();
    requestEnd({ leaveRunning: false });
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);

  try {
    await daemon.start();
    reports.report('info', `ready, version ${packageVersion()}`, { pid: process.pid, home: options.home });
    options.onServing?.(daemon.threads);
    if (!options.background) process.stderr.write(`monocore: the daemon of ${options.home} is ready\n`);
    const end = await requested;
    reports.report('info', end.leaveRunning ? 'ending; services run on' : 'ending with all services');
    await daemon.end(end);
    return 0;
  } catch (error) {
    reports.report('error', errorText(error), { err: error });
    throw error;
  } finally {
    process.off('SIGTERM', onSignal);
    process.off('SIGINT', onSignal);
    await log.close();
  }
}
