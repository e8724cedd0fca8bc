/** The world around a supervisor, in memory: it keeps what was done to it, and the test decides its answers. */
import { setImmediate } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Report } from '../../../src/lib/report.ts';
import type { ImageSettings, ServiceImage } from '../../../src/protocol/images.ts';
import type { HomeLogSettings } from '../../../src/protocol/log-settings.ts';
import type { GroupMember } from '../../../src/protocol/network.ts';
import type { Metrics, ProjectSettings } from '../../../src/protocol/service.ts';
import type { SavedState } from '../../../src/protocol/state.ts';
import type { ProbeResult } from '../../../src/protocol/supervision.ts';
import type {
  CaptureHandlers,
  ImageSource,
  LogSink,
  MetricsSink,
  NetworkHandlers,
  NetworkSink,
  OrchestratorContext,
  StateStore,
} from '../../../src/supervisor/interfaces.ts';
import { StartSlots } from '../../../src/supervisor/start-slots.ts';
import type { Backend, BackendEvent, Exit, Instance, LaunchRequest, VmProbe } from '../../../src/vm/backend.ts';
import { ManualClock } from './manual-clock.ts';

/** Streams of one launch, open until they end by themselves or are closed. */
class FakeStreams {
  open = true;
  readonly #handlers: CaptureHandlers;

  constructor(handlers: CaptureHandlers) {
    this.#handlers = handlers;
  }

  end(): void {
    this.open = false;
    this.#handlers.onEnded();
  }

  stall(reason: string | null): void {
    this.#handlers.onStalled?.(reason);
  }
}

/** A VM under the control of the test; an obedient one starts and ends by itself when asked to. */
export class FakeVm implements Instance {
  /** Requests to the VM, in order. */
  readonly received: string[] = [];
  readonly identity;
  readonly drains = true;
  readonly groupSocket: string | null;
  readonly emit: (event: BackendEvent) => void;
  readonly #note: (call: string) => void;
  readonly #streams: FakeStreams;
  readonly #obedient: boolean;
  readonly #probeResults: ProbeResult[];

  constructor(
    pid: number,
    emit: (event: BackendEvent) => void,
    note: (call: string) => void,
    streams: FakeStreams,
    obedient: boolean,
    probeResults: ProbeResult[],
    groupSocket: string | null,
  ) {
    this.groupSocket = groupSocket;
    this.identity = { pid, start_time: 1, boot_id: 'boot' };
    this.emit = emit;
    this.#note = (call) => {
      this.received.push(call);
      note(call);
    };
    this.#streams = streams;
    this.#obedient = obedient;
    this.#probeResults = probeResults;
  }

  setNames(members: readonly GroupMember[]): void {
    this.#note(`names ${members.map(({ name, address }) => `${name}=${address}`).join(' ')}`);
  }
  signalJob(signal: NodeJS.Signals | null): void {
    this.#note(`signal ${signal ?? 'SIGTERM'}`);
    if (this.#obedient) this.emit({ type: 'job-exited', exit: { code: 0, signal: null } });
  }
  probe(probe: VmProbe, _timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
    this.#note(`probe ${probe.type}`);
    const result = this.#probeResults.shift();
    if (result) return Promise.resolve(result);
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve({ ok: false, detail: 'cancelled' }));
    });
  }
  drain(): void {
    this.#note('drain');
  }
  release(): void {
    this.#note('release');
    if (this.#obedient) this.end();
  }
  kill(signal: NodeJS.Signals): void {
    this.#note(`kill ${signal}`);
  }

  start(): void {
    this.emit({ type: 'job-started', pid: this.identity.pid });
  }
  /** Ends the process and its streams. */
  end(exit: Exit = { code: 0, signal: null }): void {
    this.endProcess(exit);
    this.endStreams();
  }
  endProcess(exit: Exit = { code: 0, signal: null }): void {
    this.emit({ type: 'process-ended', exit });
  }
  endStreams(): void {
    this.#streams.end();
  }
  /** True while its output can be read. */
  get streamsOpen(): boolean {
    return this.#streams.open;
  }
}

/** An image without a program of its own. */
export function imageOf(digest: string): ServiceImage {
  const defaults = { entrypoint: [], cmd: [], env: [], workdir: null, user: null, stop_signal: null };
  return { digest, root: `/roots/${digest}`, defaults };
}

/** Context of an orchestrator or a supervisor. */
export class FakeContext implements OrchestratorContext {
  readonly clock = new ManualClock();
  readonly closings = new AbortController();
  readonly closing = this.closings.signal;
  /** Calls of the lifecycle, `<call> <service> …`, in order. */
  readonly calls: string[] = [];
  /** States that were handed to the store, in order. */
  readonly saved: SavedState[] = [];
  /** State files of services that run, and of services that have ended: what a later daemon would find. */
  readonly disk = new Map<string, SavedState>();
  /** Services that have a disk. */
  readonly disks = new Set<string>();
  readonly reports: string[] = [];
  /** Latest VM of each service. */
  readonly vms = new Map<string, FakeVm>();
  readonly samples = new Map<string, (metrics: Metrics) => void>();
  /** To be called when the awaited line is printed, by service. */
  readonly lines = new Map<string, () => void>();
  /** Connected VMs, by service. */
  readonly attached = new Map<string, NetworkHandlers & { readonly group: string | null }>();
  /** Answers to probes, in order; further probes get none. */
  readonly probeResults: ProbeResult[] = [];
  /** Last console lines of every VM. */
  readonly consoleLines: string[] = [];
  readonly printedLines: string[] = [];
  readonly bootSlots: StartSlots;
  /** No jitter. */
  readonly random = () => 0.5;
  readonly backends: OrchestratorContext['backends'];
  /** Streams end only when they are given up. */
  isDiskFull = false;
  /** Steps that a test may delay or let fail. */
  onPrepare: (service: string, signal: AbortSignal) => Promise<void> = async () => {};
  onMoveData: () => Promise<void> = async () => {};
  onLaunch: (service: string) => Promise<void> = async () => {};
  onMarker: (service: string) => Promise<void> = async () => {};
  onDetach: (service: string) => Promise<void> = async () => {};
  onCleanUp: (service: string) => Promise<void> = async () => {};
  /** By default the streams end with a discarded launch. */
  onDiscard: (service: string) => void = (service) => this.#streams.get(service)?.end();
  onSave: (state: SavedState) => Promise<void> = async () => {};
  readonly #obedient: boolean;
  /** Streams of the latest launch of each service. */
  readonly #streams = new Map<string, FakeStreams>();
  readonly #members = new Map<string, readonly GroupMember[]>();
  #nextPid = 100;

  /** @param obedient see {@link FakeVm} */
  constructor({ obedient = false, concurrentBoots = 2 } = {}) {
    this.#obedient = obedient;
    this.bootSlots = new StartSlots({ slots: concurrentBoots, freeBytes: () => 2 ** 40 });
    this.backends = { vm: this.#backend(), none: this.#backend() };
  }

  /** Calls about one service, without its name. */
  callsOf(service: string): string[] {
    return this.calls
      .filter((call) => call.split(' ')[1] === service)
      .map((call) => call.split(' ').toSpliced(1, 1).join(' '));
  }

  /** Lets the logs of a service stall; null: they can be written again. */
  stallLogs(service: string, reason: string | null): void {
    this.#streams.get(service)?.stall(reason);
  }

  /** Drops the calls so far. */
  clear(): void {
    this.calls.length = 0;
  }

  endStrays: OrchestratorContext['endStrays'] = async () => 0;

  readonly logs: LogSink = {
    capture: async (service, _streams, handlers) => {
      this.#note(service, 'capture');
      this.#streams.set(service, new FakeStreams(handlers));
    },
    awaitMarker: async (service, _marker, send) => {
      send();
      await this.onMarker(service);
    },
    watchForLine: (service, _pattern, _sinceMs, onSeen) => {
      this.#note(service, 'watchForLine');
      this.lines.set(service, onSeen);
      return () => this.lines.delete(service);
    },
    lastLines: async (_service, [stream]) => [...(stream === 'console' ? this.consoleLines : this.printedLines)],
    closeStreams: (service, mayWait) => {
      this.#note(service, mayWait ? 'closeStreams' : 'giveUpStreams');
      if (mayWait && this.isDiskFull) return;
      this.#streams.get(service)?.end();
    },
  };

  /** Answers requests for images: by default at once, with the digest that is asked for, or one made of the name. */
  onFetch: (request: Parameters<ImageSource['fetch']>[0]) => Promise<ServiceImage> = async ({ name, digest }) =>
    imageOf(digest ?? `sha256:${name}`);

  readonly images: ImageSource = {
    fetch: (request) => {
      this.calls.push(`fetch ${request.name} ${request.digest ?? 'anew'}`);
      return this.onFetch(request);
    },
    recall: async (digest) => imageOf(digest),
    configure: (settings) => {
      this.imageSettings = settings;
    },
  };

  readonly metrics: MetricsSink = {
    watch: (service, pid, onSample) => {
      this.#note(service, `watch ${pid}`);
      this.samples.set(service, onSample);
    },
    unwatch: (service) => {
      if (this.samples.delete(service)) this.#note(service, 'unwatch');
    },
  };

  readonly network: NetworkSink = {
    attach: (port, handlers) => {
      const { service, group, index, udp } = port;
      const opened = udp.map(({ address, host, guest }) => ` ${address}:${host}-${guest}`);
      this.#note(service, `attach ${group} ${index}${opened.join('')}`);
      this.attached.set(service, { group, ...handlers });
      if (group !== null) handlers.onNames(this.#members.get(group) ?? []);
    },
    detach: async (service) => {
      if (!this.attached.delete(service)) return;
      this.#note(service, 'detach');
      await this.onDetach(service);
    },
    setMembers: (name, members) => {
      if (isDeepStrictEqual(members, this.#members.get(name) ?? [])) return;
      this.#members.set(name, members);
      for (const { group, onNames } of this.attached.values()) if (group === name) onNames(members);
    },
  };

  readonly store: StateStore = {
    save: async (state) => {
      this.#noteState('save', state);
      await this.onSave(state);
      this.disk.set(state.service.name, state);
    },
    saveSoon: (state) => this.#noteState('saveSoon', state),
    conclude: async (state, afterwards) => {
      this.#noteState('conclude', state);
      this.disk.set(state.service.name, state);
      await afterwards?.();
    },
    remove: async (service) => {
      this.#note(service, 'remove');
      this.disk.delete(service);
    },
  };

  readonly report: Report = (level, message) => {
    this.reports.push(`${level}: ${message}`);
  };

  async lastLines(service: string): Promise<string[]> {
    return [`the last words of ${service}`];
  }

  savedSettings: readonly ProjectSettings[] = [];
  /** Settings of the home that are in force. */
  logLimits: HomeLogSettings | null = null;
  imageSettings: ImageSettings | null = null;

  saveSettings(settings: readonly ProjectSettings[]): void {
    this.savedSettings = settings;
  }

  limitLogs(settings: HomeLogSettings): void {
    this.logLimits = settings;
  }

  async removeLogs(service: string): Promise<void> {
    this.#note(service, 'removeLogs');
  }

  #note(service: string, call: string): void {
    const [verb, ...rest] = call.split(' ');
    this.calls.push([verb, service, ...rest].join(' '));
  }

  #noteState(verb: string, state: SavedState): void {
    this.saved.push(state);
    const { status, service } = state;
    this.#note(service.name, `${verb} ${typeof status === 'string' ? status : Object.keys(status)[0]}`);
  }

  #backend(): Backend {
    return {
      prepare: async (request, signal) => {
        const { name } = request.service;
        this.#note(name, 'prepare');
        await this.onPrepare(name, signal);
        if (request.service.disk_mib !== null) this.disks.add(name);
        return this.#prepared(request);
      },
      adopt: async () => ({ type: 'gone', exit: null }),
      reopenStream: () => -1,
      leave: () => {},
      cleanUp: async (service) => {
        this.#note(service, 'cleanUp');
        await this.onCleanUp(service);
      },
      hasData: (service) => this.disks.has(service),
      moveData: async (from, to) => {
        this.#note(from, `moveData ${to}`);
        await this.onMoveData();
        this.disks.delete(from);
        this.disks.add(to);
      },
      removeData: async (service) => {
        this.#note(service, 'removeData');
        this.disks.delete(service);
      },
    };
  }

  #prepared({ service: { name }, groupIndex }: LaunchRequest): Awaited<ReturnType<Backend['prepare']>> {
    const discard = () => {
      this.#note(name, 'discard');
      this.onDiscard(name);
    };
    return {
      streams: [],
      notes: [],
      discard,
      launch: async (onEvent) => {
        this.#note(name, 'launch');
        try {
          await this.onLaunch(name);
        } catch (error) {
          discard();
          throw error;
        }
        const note = (call: string) => this.#note(name, call);
        const streams = this.#streams.get(name)!;
        const vm = new FakeVm(
          this.#nextPid++,
          onEvent,
          note,
          streams,
          this.#obedient,
          this.probeResults,
          groupIndex === null ? null : `/run/${name}`,
        );
        this.vms.set(name, vm);
        if (this.#obedient) void setImmediate().then(() => vm.start());
        return vm;
      },
    };
  }
}

/** Lets all pending work happen: the fakes answer within a turn of the event loop. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await setImmediate();
}

/** A promise, and the function that resolves it. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
