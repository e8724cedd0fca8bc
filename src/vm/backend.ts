/**
 * Interface of a back end, which starts services with one kind of isolation: microVMs (`qemu/`) or plain processes of
 * the host (`process/`). The config alone selects the back end; there is no fallback to another. In this interface,
 * "VM" also means a plain process.
 */
import type { ProcessIdentity } from '../lib/proc.ts';
import type { ServiceImage } from '../protocol/images.ts';
import type { StreamName } from '../protocol/log-files/names.ts';
import type { GroupMember } from '../protocol/network.ts';
import type { ForwardedPort, Service } from '../protocol/service.ts';
import type { EndReason, Probe, ProbeResult } from '../protocol/supervision.ts';

export interface LaunchRequest {
  readonly service: Service;
  /** Ports of the service, each with the host address that it is bound to. */
  readonly ports: readonly ForwardedPort[];
  /** True if the guest cannot reach the outside; it can only be reached through its forwarded ports. */
  readonly localOnly: boolean;
  /** Index in the network of its group, or in a network of its own, see `protocol/network.ts`; null for none. */
  readonly groupIndex: number | null;
  /** Kernel image set by the config, or null. */
  readonly kernel: string | null;
  /** Root file system of a service with an `image`; null for all others. */
  readonly image?: ServiceImage | null;
}

/** End of a command or process. Null means unknown, never a default. */
export interface Exit {
  /** 128 + n if signal n ended it, as in shells. */
  readonly code: number | null;
  readonly signal: string | null;
}

/**
 * Events of a launched VM, in this order; all except `process-ended` are optional. `paused` may occur at any time
 * before the end.
 */
export type BackendEvent =
  /** The command is running; `pid` is the process to measure. */
  | { readonly type: 'job-started'; readonly pid: number }
  /** The command could not be run; the VM is still running and must be released. */
  | { readonly type: 'job-failed'; readonly error: string }
  /**
   * The command has ended; its last output may still be on its way. `oomKilled`: the guest's kernel killed it because
   * the guest ran out of memory.
   */
  | { readonly type: 'job-exited'; readonly exit: Exit; readonly oomKilled?: boolean }
  /** The VM is paused, with the reason; null when it continues. */
  | { readonly type: 'paused'; readonly reason: string | null }
  /** The VM process itself has ended, and all its descriptors are closed. */
  | ({ readonly type: 'process-ended'; readonly exit: Exit } & Partial<VmEnd>);

/** Cause of an unrequested end of a VM. */
export interface VmEnd {
  readonly reason: VmEndReason;
  /** Limit that was reached, in bytes; only for `memory-limit`. */
  readonly memoryLimitBytes?: number;
  /** Port that the guest misused, and how; only for `guest-flood`. */
  readonly offence?: string;
}

/**
 * Reason for an unrequested end of a VM. A kernel that has no panic device, or panics before the device works, ends as
 * `guest-reset`; the last lines of the console show the cause.
 */
export type VmEndReason = Extract<
  EndReason,
  'guest-panic' | 'guest-reset' | 'guest-flood' | 'vm-crash' | 'memory-limit'
>;

export type VmProbe = Exclude<Probe, { type: 'log_line' }>;

/** Non-blocking read end of a stream's FIFO. */
export interface ReadEnd {
  readonly stream: StreamName;
  readonly fd: number;
}

/** VM whose process is running. */
export interface Instance {
  readonly identity: ProcessIdentity;
  /** Absolute path of the Unix socket of its network device in the group's network, or in its own; null without one. */
  readonly groupSocket: string | null;
  /** Sets the names of the group's members in the guest, replacing earlier ones. */
  setNames(members: readonly GroupMember[]): void;
  /**
   * Sends a signal (`SIGTERM`) to the command; the VM ends only if the command does.
   *
   * @param signal null for the stop signal of its image, or SIGTERM if that has none
   */
  signalJob(signal: NodeJS.Signals | null): void;
  /**
   * Probes once. Never rejects: each failure, including the end of the VM and `signal`, is a result that is not ok.
   * When it resolves, the command of the probe has ended or was killed.
   */
  probe(probe: VmProbe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult>;
  /** True if output may still be on its way after the command has ended, so that {@link Instance.drain} is needed. */
  readonly drains: boolean;
  /** Makes the VM write `marker` after the last byte of stdout and stderr. Called after `job-exited`. */
  drain(marker: string): void;
  /** Lets the VM shut down. Called when all its output has arrived. */
  release(): void;
  /** Describes what the VM is doing, for people; takes a few seconds at most and never rejects. */
  examine?(): Promise<string>;
  /** Signals the VM process itself. */
  kill(signal: NodeJS.Signals): void;
}

/**
 * VM that is ready to launch: its runtime folder and FIFOs exist, and both ends of each FIFO are open, so reading may
 * begin. It must be launched or discarded, otherwise the streams never end.
 */
export interface PreparedInstance {
  /** Streams, owned by the caller. */
  readonly streams: readonly ReadEnd[];
  /** Limitations of the VM, each with the reason, for people: `cpu_shares has no effect: …`. */
  readonly notes: readonly string[];
  /**
   * Starts the VM process and, once it has booted, the command. Events arrive after the promise is fulfilled.
   *
   * @throws MonocoreError `StartFailed`, `ToolMissing`
   */
  launch(onEvent: (event: BackendEvent) => void): Promise<Instance>;
  /** Closes the VM's ends of the streams. */
  discard(): void;
}

/** VM launched by an earlier daemon. Its image is also null if it is no longer in the store. */
export interface AdoptRequest extends Pick<LaunchRequest, 'service' | 'localOnly' | 'groupIndex' | 'image'> {
  /** Its process according to the state file; null if the daemon ended before it knew. */
  readonly identity: ProcessIdentity | null;
  /** True if a guest that is waiting for its job should get it; false if the service was being stopped. */
  readonly runJob: boolean;
}

/** Result of looking for such a VM. */
export type Adoption =
  | (Pick<PreparedInstance, 'streams' | 'notes'> & {
      readonly type: 'running';
      /** Supervises it again. Events arrive after this returns. */
      readonly attach: (onEvent: (event: BackendEvent) => void) => Instance;
    })
  | ({ readonly type: 'gone' } & RecordedEnd);

/** End of a VM while no daemon ran, from its exit record. */
export interface RecordedEnd {
  /** Null if the record has none. */
  readonly exit: Exit | null;
  /** As in {@link BackendEvent}. */
  readonly oomKilled?: boolean;
  /** Misuse of the record, as in {@link VmEnd}; null or missing where the guest behaved. */
  readonly offence?: string | null;
}

/** Starts VMs of one kind. Main thread. */
export interface Backend {
  /**
   * Prepares a launch. `signal` cancels it.
   *
   * @throws MonocoreError `StartFailed`, `ToolMissing`, `Aborted`
   */
  prepare(request: LaunchRequest, signal: AbortSignal): Promise<PreparedInstance>;
  /**
   * Finds a VM launched by an earlier daemon, and kills one whose launch was interrupted.
   *
   * @throws MonocoreError `StartFailed` if its streams cannot be opened
   */
  adopt(request: AdoptRequest): Promise<Adoption>;
  /**
   * Opens the read end of a stream's FIFO again, for a log worker that lost its own. The caller owns the descriptor.
   */
  reopenStream(service: string, stream: StreamName): number;
  /** Stops watching all VMs, which run on, and closes the connections to them. */
  leave(): void;
  /** Removes the runtime folder of a service whose process has ended; does nothing if there is none. */
  cleanUp(service: string): Promise<void>;
  /** True if there is data that a service keeps between runs. */
  hasData(service: string): boolean;
  /**
   * Gives the data of a service to one that has none, so that a crash leaves it to either of them. Neither service may
   * be running.
   *
   * @throws the system error
   */
  moveData(from: string, to: string): Promise<void>;
  /** Removes the data that a service keeps between runs. The service must not be running. */
  removeData(service: string): Promise<void>;
}
