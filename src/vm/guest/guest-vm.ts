/** Running VM with a guest: one process of the host, and the guest's agent behind its control port. */
import { errorTextWithPath } from '../../lib/errors.ts';
import type { ProcessIdentity } from '../../lib/proc.ts';
import { untilDone } from '../../lib/promises.ts';
import type { GroupMember } from '../../protocol/network.ts';
import type { ProbeResult } from '../../protocol/supervision.ts';
import type { VmPaths } from '../../state/paths.ts';
import type { BackendEvent, Exit, Instance, VmEnd, VmProbe } from '../backend.ts';
import { exitOfShellStatus, findOffence, readExitRecord } from '../host/exit-record.ts';
import { type HostProcess, killMachine, machinePid, signalMachine } from '../host/host-process.ts';
import type { AgentSession } from './agent-session.ts';
import { ControlChannel, type ExecRequest, type GuestMessage } from './control-channel.ts';
import { GuestProbes } from './health-probe.ts';
import type { Job } from './job.ts';

/** Job of a guest, and the settings around it. */
export interface GuestJob {
  /** Builds the job for a guest that is waiting for it; null if the guest must not get one. May fail. */
  readonly make: (() => Promise<Job>) | null;
  /** Default stop signal of the command as kill(1) takes it: without the prefix `SIG`. */
  readonly stopSignal: string;
  /** True if the VM has a device in the network of its group. */
  readonly inGroup: boolean;
}

/**
 * Determines why a VM process ended, once, using evidence specific to its kind of machine; null if it was asked to end
 * or the reason is unknown.
 *
 * @param asked true if this daemon asked it to end
 */
export type EndObserver = (exit: Exit, asked: boolean) => Promise<VmEnd | null>;

/** Sends the guest its job once it is ready, and passes on its messages as events. Main thread. */
export class GuestVm implements Instance {
  readonly identity: ProcessIdentity;
  readonly drains = true;
  readonly groupSocket: string | null;
  readonly #paths: VmPaths;
  readonly #control: ControlChannel;
  readonly #probes: GuestProbes;
  readonly #findEndReason: EndObserver;
  readonly #onEvent: (event: BackendEvent) => void;
  /** Null once it has been called, or if there is no job. */
  #makeJob: GuestJob['make'];
  readonly #stopSignal: string;
  #names: readonly GroupMember[] = [];
  #hasGreeted = false;
  #started = false;
  #exited = false;
  #ended = false;
  #askedToEnd = false;
  /** Misuse of a port by the guest, for which its VM is ended; null if there was none. */
  #offence: string | null = null;

  constructor(
    process: HostProcess,
    paths: VmPaths,
    { make, stopSignal, inGroup }: GuestJob,
    findEndReason: EndObserver,
    onEvent: (event: BackendEvent) => void,
  ) {
    this.groupSocket = inGroup ? paths.groupNetwork : null;
    this.identity = process.identity;
    this.#paths = paths;
    this.#makeJob = make;
    this.#stopSignal = stopSignal;
    this.#findEndReason = findEndReason;
    this.#onEvent = onEvent;
    this.#control = new ControlChannel(
      paths.control,
      (message) => this.#onMessage(message),
      (offence) => this.#endForOffence(`${offence} its control port`),
    );
    this.#probes = new GuestProbes(this.#control);
    void process.exited().then((exit) => this.#onProcessExit(exit));
  }

  setNames(members: readonly GroupMember[]): void {
    this.#names = members;
    if (this.#hasGreeted) this.#control.sendHosts(members);
  }

  signalJob(signal: NodeJS.Signals | null): void {
    this.#control.sendSignal(signal === null ? this.#stopSignal : signal.replace(/^SIG/, ''));
  }

  probe(probe: VmProbe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
    return this.#probes.ask(probe, timeoutMs, signal);
  }

  /** Runs a command beside the job, see {@link AgentSession}. */
  exec(request: ExecRequest): AgentSession {
    return this.#control.exec(request);
  }

  /** Connects with a TCP port of the guest. */
  connect(address: string, port: number): AgentSession {
    return this.#control.connect(address, port);
  }

  /** Sets the guest's clock after its machine has stood still. */
  setClock(): void {
    this.#control.sendClock();
  }

  drain(marker: string): void {
    this.#control.sendDrain(marker);
  }

  release(): void {
    this.#askedToEnd = true;
    this.#control.sendOff();
  }

  kill(signal: NodeJS.Signals): void {
    this.#askedToEnd = true;
    signalMachine(this.identity, signal);
  }

  leave(): void {
    this.#control.close();
    this.#probes.close('the daemon ends');
  }

  /**
   * Ends the VM of a misbehaving guest. It is killed rather than released, because such a guest cannot be asked for
   * anything.
   */
  #endForOffence(offence: string): void {
    this.#offence = offence;
    void killMachine(this.identity);
  }

  #onMessage(message: GuestMessage): void {
    const { type } = message;
    // Names are sent before the job, so that its command can find its group from the start.
    if (type === 'ready' || type === 'starting' || type === 'running') this.#greet();
    if (type === 'ready') void this.#sendJob();
    if (type === 'running' || type === 'started') this.#reportStarted();
    if (type === 'failed') this.#onEvent({ type: 'job-failed', error: message.reason });
    if (type === 'exit') this.#reportExit(exitOfShellStatus(message.code), message.oomKilled);
    if (type === 'probed') this.#probes.answer(message.session, message.answer);
  }

  /** Sends the names on each new connection, because the guest may have missed them. */
  #greet(): void {
    this.#hasGreeted = true;
    if (this.#names.length > 0) this.#control.sendHosts(this.#names);
  }

  async #sendJob(): Promise<void> {
    const makeJob = this.#makeJob;
    this.#makeJob = null;
    try {
      if (makeJob) this.#control.sendJob(await makeJob());
    } catch (error) {
      this.#onEvent({ type: 'job-failed', error: errorTextWithPath(error) });
    }
  }

  #reportStarted(): void {
    if (this.#started) return;
    this.#started = true;
    // Again where no descriptor is free; the end of the command may be told before.
    void untilDone(() => {
      const pid = machinePid(this.identity.pid);
      if (!this.#ended) this.#onEvent({ type: 'job-started', pid });
    });
  }

  #reportExit(exit: Exit, oomKilled: boolean): void {
    if (this.#exited) return;
    this.#exited = true;
    this.#probes.close('the command has ended');
    this.#onEvent({ type: 'job-exited', exit, oomKilled });
  }

  async #onProcessExit(exit: Exit): Promise<void> {
    this.#ended = true;
    this.#control.close();
    this.#probes.close('the VM has ended');
    // The command may have ended while no daemon was connected.
    await untilDone(() => {
      const recorded = readExitRecord(this.#paths.exitRecord);
      if (recorded.exit) this.#reportExit(recorded.exit, recorded.oomKilled);
    });
    const found = await this.#findEndReason(exit, this.#askedToEnd);
    this.#offence ??= findOffence(this.#paths.exitRecord);
    const end = this.#offence === null ? found : ({ reason: 'guest-flood', offence: this.#offence } as const);
    this.#onEvent({ type: 'process-ended', exit, ...end });
  }
}
