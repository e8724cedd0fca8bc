/** One QEMU process and the guest in it. */
import { errorText } from '../../lib/errors.ts';
import { type ProcessIdentity, signalProcess } from '../../lib/proc.ts';
import type { GroupMember } from '../../protocol/network.ts';
import type { VmPaths } from '../../state/paths.ts';
import type { BackendEvent, Exit, Instance, ProbeResult, VmProbe } from '../backend.ts';
import { ControlChannel, type GuestMessage } from '../guest/control-channel.ts';
import { GuestProbes } from '../guest/health-probe.ts';
import type { Job } from '../guest/job.ts';
import { exitOfShellStatus, readExitRecord } from '../host/exit-record.ts';
import type { HostProcess } from '../host/host-process.ts';
import { MachineMonitor } from './monitor.ts';
import type { QmpClient } from './qmp.ts';

/** What is to be done with a guest. */
export interface GuestJob {
  /** For a guest that waits for its job; null when it must not get any. It may fail. */
  readonly make: (() => Promise<Job>) | null;
  /** Asks the command to end, as kill(1) takes it: without its `SIG`. */
  readonly stopSignal: string;
  /** Whether it has a device in the network of its group. */
  readonly inGroup: boolean;
}

/** A running microVM. Sends the guest its job when it is ready, and passes on what becomes of it. Main thread. */
export class QemuVm implements Instance {
  readonly identity: ProcessIdentity;
  readonly drains = true;
  readonly groupSocket: string | null;
  readonly #paths: VmPaths;
  readonly #control: ControlChannel;
  readonly #probes: GuestProbes;
  readonly #machine: MachineMonitor;
  readonly #onEvent: (event: BackendEvent) => void;
  /** Null once it was asked for, or when there is none. */
  #makeJob: GuestJob['make'];
  readonly #stopSignal: string;
  /** Names that the guest is to know. */
  #names: readonly GroupMember[] = [];
  #hasGreeted = false;
  #started = false;
  #exited = false;
  #askedToEnd = false;

  constructor(
    process: HostProcess,
    paths: VmPaths,
    { make, stopSignal, inGroup }: GuestJob,
    onEvent: (event: BackendEvent) => void,
  ) {
    this.groupSocket = inGroup ? paths.groupNetwork : null;
    this.identity = process.identity;
    this.#paths = paths;
    this.#makeJob = make;
    this.#stopSignal = stopSignal;
    this.#onEvent = onEvent;
    this.#control = new ControlChannel(paths.control, (message) => this.#onMessage(message));
    this.#probes = new GuestProbes(this.#control);
    this.#machine = new MachineMonitor(
      paths.qmp,
      () => signalProcess(this.identity, 'SIGKILL', 'process'),
      (reason) => onEvent({ type: 'paused', reason }),
    );
    process.onExit((exit) => void this.#onProcessExit(exit));
  }

  get qmp(): QmpClient {
    return this.#machine.qmp;
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

  drain(marker: string): void {
    this.#control.sendDrain(marker);
  }

  release(): void {
    this.#askedToEnd = true;
    this.#control.sendOff();
  }

  kill(signal: NodeJS.Signals): void {
    this.#askedToEnd = true;
    signalProcess(this.identity, signal, 'process');
  }

  #onMessage(message: GuestMessage): void {
    switch (message.type) {
      case 'ready':
        // Before the job: its command finds the names of its group from the first moment on.
        this.#greet();
        void this.#sendJob();
        return;
      case 'starting':
        this.#greet();
        return;
      case 'running':
        this.#greet();
        this.#reportStarted();
        return;
      case 'started':
        this.#reportStarted();
        return;
      case 'failed':
        this.#onEvent({ type: 'job-failed', error: message.reason });
        return;
      case 'exit':
        this.#reportExit(exitOfShellStatus(message.code), message.oomKilled);
        return;
      case 'probed':
        this.#probes.answer(message.id, message.answer);
        return;
    }
  }

  /** A connection has begun: the guest may have missed what was sent before. */
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
      this.#onEvent({ type: 'job-failed', error: errorText(error) });
    }
  }

  #reportStarted(): void {
    if (this.#started) return;
    this.#started = true;
    this.#onEvent({ type: 'job-started', pid: this.identity.pid });
  }

  #reportExit(exit: Exit, oomKilled: boolean): void {
    if (this.#exited) return;
    this.#exited = true;
    this.#probes.close('the command has ended');
    this.#onEvent({ type: 'job-exited', exit, oomKilled });
  }

  async #onProcessExit(exit: Exit): Promise<void> {
    this.#control.close();
    this.#probes.close('the VM has ended');
    // The guest may have ended its job while nobody was connected.
    const recorded = readExitRecord(this.#paths.exitRecord);
    if (recorded.exit) this.#reportExit(recorded.exit, recorded.oomKilled);
    const reason = await this.#machine.endReason(exit, this.#askedToEnd);
    this.#onEvent({ type: 'process-ended', exit, ...(reason && { reason }) });
  }
}
