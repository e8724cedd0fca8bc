/** What binds a supervisor to one VM: its launch or adoption, its streams, its process, the end of its output. */
import { randomBytes } from 'node:crypto';
import { isoTime } from '../lib/clock.ts';
import { errorText, errorTextWithHint, MonocoreError } from '../lib/errors.ts';
import type { ProcessIdentity } from '../lib/proc.ts';
import type { ServiceImage } from '../protocol/images.ts';
import type { StreamName } from '../protocol/log-files/names.ts';
import type { Adoption, BackendEvent, Instance, PreparedInstance } from '../vm/backend.ts';
import { takeTurn } from './boot-turn.ts';
import type { SupervisorContext } from './interfaces.ts';
import type { Effect, MachineEvent } from './states.ts';
import { addressOf, type Hindrances, type ServiceDefinition } from './status.ts';

/** 128 random bits: nothing that a service prints is taken for it. */
const MARKER_BYTES = 16;

/** Lines of the VM that come with a failure. */
const LAST_LINES = 10;
/** How far back a panic is looked for: the kernel says what it did last, on some sixty lines, after it said that it panicked. */
const SEARCHED_LINES = 200;

/** How Linux says that it cannot go on, see panic() in kernel/panic.c. */
const PANIC = /Kernel panic - not syncing.*/;

/**
 * From the end of the VM process, after which only a process that escaped it can hold its streams, until they are
 * closed. Nothing that is in them by then is lost, so this need not be long; a process that was just killed needs far
 * less to let go.
 */
export const STREAMS_TIMEOUT_MS = 2000;

/** Effects on the VM alone. */
type VmEffect = Extract<Effect, { type: 'cancel-launch' | 'signal-job' | 'drain' | 'release' | 'kill' }>;

/** Where a session reports to. */
export interface SessionHandlers {
  readonly onEvent: (event: MachineEvent) => void;
  /** What is different from now on. */
  readonly onHindered: (change: Partial<Hindrances>) => void;
  /** The notes have changed. */
  readonly onNotes: () => void;
}

/** One VM after the other of a service; never two at once, which is the state machine's doing. Main thread. */
export class VmSession {
  readonly #definition: ServiceDefinition;
  readonly #ports: SupervisorContext;
  readonly #handlers: SessionHandlers;
  #vm: Instance | null = null;
  #cancel: AbortController | null = null;
  #notes: readonly string[] = [];
  /** What does not work of its network. */
  #networkNotes: readonly string[] = [];

  constructor(definition: ServiceDefinition, ports: SupervisorContext, handlers: SessionHandlers) {
    this.#definition = definition;
    this.#ports = ports;
    this.#handlers = handlers;
  }

  readonly #tellPreparing = (preparing: string | null): void => this.#handlers.onHindered({ preparing });

  /** The VM; null before its launch and after its end. */
  get vm(): Instance | null {
    return this.#vm;
  }

  /** What the host does not offer of what the service asked for. */
  get notes(): readonly string[] {
    return [...this.#notes, ...this.#networkNotes];
  }

  get identity(): ProcessIdentity | null {
    return this.#vm?.identity ?? null;
  }

  /**
   * Gets the image, prepares, captures the streams, launches: in this order, so that nothing is printed before somebody
   * reads. Answers with the events `image-ready` where there is an image, and `launched` or `launch-failed`.
   *
   * @param digest of the image that is to be taken again if it is there; null for the one that its name stands for
   */
  async launch(digest: string | null): Promise<void> {
    const { service, group, groupIndex = null, kernel } = this.#definition;
    const cancel = new AbortController();
    this.#cancel = cancel;
    let streamsEnded: Promise<void> = Promise.resolve();
    let endTurn = (): void => {};
    try {
      const image = await this.#fetchImage(digest, cancel.signal);
      if (image) {
        endTurn = await this.#takeTurn(cancel.signal);
        this.#handlers.onEvent({ type: 'image-ready', digest: image.digest });
      }
      const address = addressOf(this.#definition);
      const request = { service, address, localOnly: group?.local_only ?? true, groupIndex, kernel, image };
      const prepared = await this.#ports.backends[service.isolation].prepare(request, cancel.signal);
      this.#notes = prepared.notes;
      this.#ports.onStep?.(service.name, 'prepared');
      try {
        streamsEnded = (await this.#capture(prepared.streams, false)).ended;
        this.#ports.onStep?.(service.name, 'captured');
        if (cancel.signal.aborted) throw new MonocoreError('Aborted', 'the start was called off');
      } catch (error) {
        prepared.discard();
        throw error;
      }
      const vm = await prepared.launch(this.#observe(streamsEnded, endTurn));
      this.#ports.onStep?.(service.name, 'spawned');
      this.#vm = vm;
      this.#joinNetwork(vm);
      this.#handlers.onEvent({ type: 'launched', pid: vm.identity.pid });
    } catch (error) {
      // The service may be started again at once: its streams must be free by then.
      await this.#awaitEnd(streamsEnded);
      endTurn();
      this.#handlers.onEvent({ type: 'launch-failed', error: errorTextWithHint(error) });
    }
  }

  async #fetchImage(digest: string | null, signal: AbortSignal): Promise<ServiceImage | null> {
    const { image: name } = this.#definition.service;
    if (name === null) return null;
    try {
      return await this.#ports.images.fetch({ name, digest, signal, onProgress: this.#tellPreparing });
    } finally {
      this.#tellPreparing(null);
    }
  }

  async #takeTurn(signal: AbortSignal): Promise<() => void> {
    const { ram_mib } = this.#definition.service;
    // Its place in the queue outlives a start that was called off.
    const onWait = (reason: string): void => {
      if (!signal.aborted) this.#tellPreparing(reason);
    };
    try {
      return await takeTurn((onTurn) => this.#ports.boots.run(ram_mib, onWait, onTurn), signal);
    } finally {
      this.#tellPreparing(null);
    }
  }

  /** Does to the VM, if there is one, what the state machine wants done. */
  perform(effect: VmEffect): void {
    switch (effect.type) {
      case 'cancel-launch':
        this.#cancel?.abort();
        break;
      case 'signal-job':
        this.#vm?.signalJob(effect.signal);
        break;
      case 'drain':
        void this.#drain();
        break;
      case 'release':
        this.#vm?.release();
        break;
      case 'kill':
        this.#vm?.kill(effect.signal);
    }
  }

  /** Goes on with a VM that an earlier daemon launched; its events come after this. */
  async adopt(adoption: Extract<Adoption, { type: 'running' }>): Promise<ProcessIdentity> {
    const { ended } = await this.#capture(adoption.streams, true);
    this.#notes = adoption.notes;
    this.#vm = adoption.attach(this.#observe(ended, () => {}));
    this.#joinNetwork(this.#vm);
    return this.#vm.identity;
  }

  #joinNetwork(vm: Instance): void {
    const { service, group, groupIndex = null } = this.#definition;
    const { groupSocket: socketPath } = vm;
    if (groupIndex === null || socketPath === null) return;
    const udp = service.ports
      .filter(({ protocol }) => protocol === 'udp')
      .map(({ host, guest }) => ({ address: addressOf(this.#definition), host, guest }));
    const port = { service: service.name, group: group?.name ?? null, index: groupIndex, socketPath, udp };
    this.#ports.network.attach(port, {
      onNames: (members) => vm.setNames(members),
      onNotes: (notes) => {
        this.#networkNotes = notes;
        this.#handlers.onNotes();
      },
    });
  }

  /** Waits until all that the command printed is in its files; answers with the event `drained`. */
  async #drain(): Promise<void> {
    const vm = this.#vm;
    const { name } = this.#definition.service;
    const marker = randomBytes(MARKER_BYTES).toString('hex');
    try {
      // What a plain process printed is in its pipes already, and is lost with it where a daemon that dies has not read it.
      if (vm?.drains) await this.#ports.logs.awaitMarker(name, marker, () => vm.drain(marker));
      else await this.#ports.logs.awaitMarker(name, null, () => {});
    } catch (error) {
      // Without the log worker nobody knows what has arrived; the stop timer decides.
      this.#ports.report('warn', `${name}: the end of its output was not seen: ${errorText(error)}`);
      return;
    }
    this.#handlers.onEvent({ type: 'drained' });
  }

  /** Looks up what the VM said last since then; answers with the event `inspected`. */
  async inspect(sinceMs: number): Promise<void> {
    const { name } = this.#definition.service;
    const lines = await this.#ports.logs
      .lastLines(name, ['console'], SEARCHED_LINES, isoTime(sinceMs))
      .catch((error: unknown) => {
        this.#ports.report('warn', `${name}: what its VM said last cannot be read: ${errorText(error)}`);
        return [];
      });
    const panicAt = lines.findIndex((line) => PANIC.test(line));
    const lastLines = panicAt === -1 ? lines.slice(-LAST_LINES) : lines.slice(panicAt, panicAt + LAST_LINES);
    const [panic = null] = PANIC.exec(lines[panicAt] ?? '') ?? [];
    this.#handlers.onEvent({ type: 'inspected', lastLines, panic });
  }

  /** The VM has ended. */
  forget(): void {
    this.#vm = null;
    this.#cancel = null;
    this.#notes = [];
    this.#networkNotes = [];
  }

  /** Begins to capture streams; `ended` is fulfilled when all of them have ended. */
  async #capture(streams: PreparedInstance['streams'], continues: boolean): Promise<{ ended: Promise<void> }> {
    const { service } = this.#definition;
    let onEnded = (): void => {};
    const ended = new Promise<void>((resolve) => {
      onEnded = resolve;
    });
    const reopen = (stream: StreamName): number =>
      this.#ports.backends[service.isolation].reopenStream(service.name, stream);
    const onStalled = (logStalled: string | null) => this.#handlers.onHindered({ logStalled });
    const handlers = { reopen, onEnded, onStalled, continues };
    await this.#ports.logs.capture(service.name, streams, handlers, service.log);
    return { ended };
  }

  /** Takes what a backend reports, and adds the end of the streams. @param endTurn called when the guest has booted, or not */
  #observe(streamsEnded: Promise<void>, endTurn: () => void): (event: BackendEvent) => void {
    let onProcessEnded = (_portsFreed: Promise<void>): void => {};
    // The next to start may want the same ports.
    const processEnded = new Promise<void>((resolve) => {
      onProcessEnded = resolve;
    });
    // The log worker may see the end of the streams before this thread sees that of the process.
    void processEnded
      .then(() => this.#awaitEnd(streamsEnded))
      .then(() => this.#handlers.onEvent({ type: 'streams-ended' }));
    return (event) => {
      if (event.type === 'paused') {
        this.#onPaused(event.reason);
        return;
      }
      const isEnd = event.type === 'process-ended';
      const portsFreed = isEnd ? this.#ports.network.detach(this.#definition.service.name) : null;
      endTurn();
      this.#handlers.onEvent(event);
      if (portsFreed) onProcessEnded(portsFreed);
    };
  }

  #onPaused(reason: string | null): void {
    const { name } = this.#definition.service;
    if (reason === null) this.#ports.report('info', `${name}: its VM goes on`);
    else this.#ports.report('warn', `${name}: its VM stands still: ${reason}`);
    this.#handlers.onHindered({ paused: reason });
  }

  /** Resolves when the streams of a VM whose process is gone have ended, by themselves or not. */
  async #awaitEnd(streamsEnded: Promise<void>): Promise<void> {
    const { logs, clock } = this.#ports;
    const cancel = clock.after(STREAMS_TIMEOUT_MS, () => logs.closeStreams(this.#definition.service.name));
    await streamsEnded;
    cancel();
  }
}
