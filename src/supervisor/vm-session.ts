/** VM of a supervisor: its launch or adoption, its streams, its process and the end of its output. */
import { randomBytes } from 'node:crypto';
import { isoTime } from '../lib/clock.ts';
import { errorCode, errorText, errorTextWithHint, MonocoreError } from '../lib/errors.ts';
import type { ProcessIdentity } from '../lib/proc.ts';
import { deferred } from '../lib/promises.ts';
import type { ServiceImage } from '../protocol/images.ts';
import type { StreamName } from '../protocol/log-files/names.ts';
import type { Adoption, BackendEvent, Instance, PreparedInstance } from '../vm/backend.ts';
import type { SupervisorContext } from './interfaces.ts';
import type { MachineEvent } from './states.ts';
import { type Blocked, portsOf, type ServiceDefinition } from './status.ts';

/** 128 random bits, so that no output of a service can be mistaken for the marker. */
const MARKER_BYTES = 16;

/** Number of console lines to keep of a failed run. */
const LAST_LINES = 10;
/**
 * Number of console lines to search for a panic: the kernel prints some sixty lines of registers and stack after it.
 */
const SEARCHED_LINES = 200;

/** First line of a panic, see panic() in kernel/panic.c of Linux. */
const PANIC = /Kernel panic - not syncing.*/;

/**
 * Time between the end of the VM process and the forced end of its streams, which only an escaped process can still
 * hold. Short, because their content is still read; a process that was just killed closes them far sooner.
 */
export const STREAMS_TIMEOUT_MS = 2000;

/**
 * Time between the end of the VM process and dropping output that cannot be written: a full disk must not block a stop.
 */
export const LOGS_TIMEOUT_MS = 30_000;
/** The same time once the user insists on a quick stop. */
export const HURRIED_LOGS_TIMEOUT_MS = 5000;

interface SessionHandlers {
  readonly onEvent: (event: MachineEvent) => void;
  readonly onBlocked: (change: Partial<Blocked>) => void;
  readonly onNotes: () => void;
}

/** VMs of a service, one after another: the state machine never launches two at once. Main thread. */
export class VmSession {
  readonly #definition: ServiceDefinition;
  readonly #context: SupervisorContext;
  readonly #handlers: SessionHandlers;
  /** Null before the launch and after the end of a VM. */
  vm: Instance | null = null;
  #cancel: AbortController | null = null;
  #notes: readonly string[] = [];
  #networkNotes: readonly string[] = [];
  #isHurried = false;
  /** Shortens a pending wait for the end of the streams. */
  #shortenWait = (): void => {};

  constructor(definition: ServiceDefinition, context: SupervisorContext, handlers: SessionHandlers) {
    this.#definition = definition;
    this.#context = context;
    this.#handlers = handlers;
  }

  /** Settings that cannot be applied on this host, with the reason. */
  get notes(): readonly string[] {
    return [...this.#notes, ...this.#networkNotes];
  }

  /**
   * Fetches the image, prepares the VM, captures its streams and launches it: in this order, so that all output has a
   * reader. Results in the events `image-ready`, if there is an image, and `launched` or `launch-failed`.
   *
   * @param digest image of the last run, to be used again if it still exists; null to resolve the name anew
   */
  async launch(digest: string | null): Promise<void> {
    const { service, group, groupIndex = null, kernel } = this.#definition;
    const cancel = new AbortController();
    this.#cancel = cancel;
    let streamsEnded: Promise<void> = Promise.resolve();
    let freeSlot = (): void => {};
    try {
      let image: ServiceImage | null = null;
      if (service.image !== null) {
        [image, freeSlot] = await this.#prepareImage(service.image, digest, cancel.signal);
        this.#handlers.onEvent({ type: 'image-ready', digest: image.digest });
      }
      const ports = portsOf(this.#definition);
      const request = { service, ports, localOnly: group?.local_only ?? true, groupIndex, kernel, image };
      const prepared = await this.#context.backends[service.isolation].prepare(request, cancel.signal);
      this.#notes = prepared.notes;
      this.#context.onStep?.(service.name, 'prepared');
      try {
        streamsEnded = (await this.#capture(prepared.streams, false)).ended;
        this.#context.onStep?.(service.name, 'captured');
        if (cancel.signal.aborted) throw new MonocoreError('Aborted', 'the start was cancelled');
      } catch (error) {
        prepared.discard();
        throw error;
      }
      const vm = await prepared.launch(this.#observe(streamsEnded, freeSlot));
      this.#context.onStep?.(service.name, 'spawned');
      this.vm = vm;
      this.#joinNetwork(vm);
      this.#handlers.onEvent({ type: 'launched', pid: vm.identity.pid });
    } catch (error) {
      // The service may be started again at once, so its streams must be free.
      await this.#awaitEnd(streamsEnded);
      freeSlot();
      const hostFault = errorCode(error) === 'ToolMissing';
      this.#handlers.onEvent({ type: 'launch-failed', error: errorTextWithHint(error), hostFault });
    }
  }

  /**
   * Prepares the image. Returns it with a function that frees the start slot, which is taken last, so that nobody waits
   * for a download.
   */
  async #prepareImage(name: string, digest: string | null, signal: AbortSignal): Promise<[ServiceImage, () => void]> {
    const setPreparing = (preparing: string | null): void => this.#handlers.onBlocked({ preparing });
    try {
      const image = await this.#context.images.fetch({ name, digest, signal, onProgress: setPreparing });
      setPreparing(null);
      return [image, await this.#context.bootSlots.take(this.#definition.service.ram_mib, setPreparing, signal)];
    } finally {
      setPreparing(null);
    }
  }

  /** Shortens the time for output that cannot be written. */
  hurry(): void {
    this.#isHurried = true;
    this.#shortenWait();
  }

  cancelLaunch(): void {
    this.#cancel?.abort();
  }

  /** Adopts a VM of an earlier daemon; its events arrive after this resolves. */
  async adopt(adoption: Extract<Adoption, { type: 'running' }>): Promise<ProcessIdentity> {
    const { ended } = await this.#capture(adoption.streams, true);
    this.#notes = adoption.notes;
    this.vm = adoption.attach(this.#observe(ended, () => {}));
    this.#joinNetwork(this.vm);
    return this.vm.identity;
  }

  #joinNetwork(vm: Instance): void {
    const { service, group, groupIndex = null } = this.#definition;
    const { groupSocket: socketPath } = vm;
    if (groupIndex === null || socketPath === null) return;
    const udpPorts = portsOf(this.#definition).filter(({ protocol }) => protocol === 'udp');
    const udp = udpPorts.map(({ address, host, guest }) => ({ address, host, guest }));
    const port = { service: service.name, group: group?.name ?? null, index: groupIndex, socketPath, udp };
    this.#context.network.attach(port, {
      onNames: (members) => vm.setNames(members),
      onNotes: (notes) => {
        this.#networkNotes = notes;
        this.#handlers.onNotes();
      },
    });
  }

  /** Waits until all output of the command is in the log files; results in the event `drained`. */
  async drain(): Promise<void> {
    const { vm } = this;
    const { name } = this.#definition.service;
    const marker = randomBytes(MARKER_BYTES).toString('hex');
    try {
      // The output of a plain process is already in its pipes.
      if (vm?.drains) await this.#context.logs.awaitMarker(name, marker, () => vm.drain(marker));
      else await this.#context.logs.awaitMarker(name, null, () => {});
    } catch (error) {
      // Without the log worker, the stop timer ends the wait.
      this.#context.report('warn', `${name}: the end of its output was not seen: ${errorText(error)}`);
      return;
    }
    this.#handlers.onEvent({ type: 'drained' });
  }

  /** Reports what a VM that is not ready in time is doing, as far as visible from outside. */
  async examine(): Promise<void> {
    const found = await this.vm?.examine?.();
    if (found) this.#context.report('warn', `${this.#definition.service.name}: its VM is not ready: ${found}`);
  }

  /**
   * Reads the last lines since that time: those of a panic, or else of the service, or else of the console. Results in
   * the event `inspected`.
   */
  async inspect(sinceMs: number): Promise<void> {
    const { name } = this.#definition.service;
    const read = (streams: readonly StreamName[], lines: number): Promise<string[]> =>
      this.#context.logs.lastLines(name, streams, lines, isoTime(sinceMs)).catch((error: unknown) => {
        this.#context.report('warn', `${name}: its last lines cannot be read: ${errorText(error)}`);
        return [];
      });
    const console = await read(['console'], SEARCHED_LINES);
    const panicAt = console.findIndex((line) => PANIC.test(line));
    const [panic = null] = PANIC.exec(console[panicAt] ?? '') ?? [];
    let lastLines = console.slice(panicAt, panicAt + LAST_LINES);
    if (panic === null) {
      const printed = await read(['stdout', 'stderr'], LAST_LINES);
      lastLines = printed.length > 0 ? printed : console.slice(-LAST_LINES);
    }
    this.#handlers.onEvent({ type: 'inspected', lastLines, panic });
  }

  /** Drops the VM after its end. */
  forget(): void {
    this.vm = null;
    this.#cancel = null;
    this.#notes = [];
    this.#networkNotes = [];
    this.#isHurried = false;
  }

  /** Captures streams; `ended` resolves when all of them have ended. */
  async #capture(streams: PreparedInstance['streams'], continues: boolean): Promise<{ ended: Promise<void> }> {
    const { service } = this.#definition;
    const { promise: ended, resolve: onEnded } = deferred();
    const backend = this.#context.backends[service.isolation];
    const reopen = (stream: StreamName) => backend.reopenStream(service.name, stream);
    const onStalled = (logStalled: string | null): void => {
      this.#handlers.onBlocked({ logStalled });
      if (logStalled !== null) this.#handlers.onEvent({ type: 'log-stalled' });
    };
    const tellsPartialLines = service.healthcheck?.probe.type === 'log_line';
    const handlers = { reopen, onEnded, onStalled, continues, tellsPartialLines };
    await this.#context.logs.capture(service.name, streams, handlers, service.log);
    return { ended };
  }

  /**
   * Makes a listener for the back end, which also reports the end of the streams.
   *
   * @param freeSlot called once the guest has booted or has failed to boot
   */
  #observe(streamsEnded: Promise<void>, freeSlot: () => void): (event: BackendEvent) => void {
    const processEnded = deferred();
    // The log worker may see the end of the streams before this thread sees the end of the process.
    void processEnded.promise
      .then(() => this.#awaitEnd(streamsEnded))
      .then(() => this.#handlers.onEvent({ type: 'streams-ended' }));
    return (event) => {
      if (event.type === 'paused') {
        const { name } = this.#definition.service;
        if (event.reason === null) this.#context.report('info', `${name}: its VM has resumed`);
        else this.#context.report('warn', `${name}: its VM is paused: ${event.reason}`);
        this.#handlers.onBlocked({ paused: event.reason });
        return;
      }
      const isEnd = event.type === 'process-ended';
      // The next service to start may need the same ports.
      const portsFreed = isEnd ? this.#context.network.detach(this.#definition.service.name) : null;
      freeSlot();
      this.#handlers.onEvent(event);
      void portsFreed?.then(processEnded.resolve);
    };
  }

  /**
   * Waits for the streams of a VM whose process has ended. After a while, forcibly ends those that a process still
   * holds, and later those whose disk is full.
   */
  async #awaitEnd(streamsEnded: Promise<void>): Promise<void> {
    const { logs, clock } = this.#context;
    const { name } = this.#definition.service;
    const cancels = [clock.after(STREAMS_TIMEOUT_MS, () => logs.closeStreams(name, true))];
    const giveUpAfter = (delayMs: number) => cancels.push(clock.after(delayMs, () => logs.closeStreams(name, false)));
    giveUpAfter(this.#isHurried ? HURRIED_LOGS_TIMEOUT_MS : LOGS_TIMEOUT_MS);
    this.#shortenWait = () => giveUpAfter(HURRIED_LOGS_TIMEOUT_MS);
    await streamsEnded;
    this.#shortenWait = () => {};
    for (const cancel of cancels) cancel();
  }
}
