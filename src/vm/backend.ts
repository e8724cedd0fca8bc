/**
 * Interface of a back end, which starts services of one kind of isolation: microVMs (`qemu/`) or plain processes of the
 * host (`process/`). Only the config selects the back end; none stands in for another. A VM is, in the words of this
 * interface, also a plain process.
 */
import type { ProcessIdentity } from '../lib/proc.ts';
import type { ServiceImage } from '../protocol/images.ts';
import type { StreamName } from '../protocol/log-files/names.ts';
import type { GroupMember } from '../protocol/network.ts';
import type { ForwardedPort, Service } from '../protocol/service.ts';
import type { EndReason, Probe, ProbeResult } from '../protocol/supervision.ts';

export interface LaunchRequest {
  readonly service: Service;
  /** The service's ports, with the address of the host that each is bound to. */
  readonly ports: readonly ForwardedPort[];
  /** True: the guest has no way out; it can only be reached through its forwarded ports. */
  readonly localOnly: boolean;
  /** Place in the network of its group, or in one of its own, see `protocol/network.ts`; null for none. */
  readonly groupIndex: number | null;
  /** Kernel image that the config names, or null. */
  readonly kernel: string | null;
  /** Root filesystem of a service with an `image`; null for every other. */
  readonly image?: ServiceImage | null;
}

/** End of a command or process. Null is unknown, never a default. */
export interface Exit {
  /** 128 + n where signal n ended it, as in shells. */
  readonly code: number | null;
  readonly signal: string | null;
}

/**
 * Events of a launched VM, in this order; all but `process-ended` are optional. `paused` comes at any time before the end.
 */
export type BackendEvent =
  /** The command runs; `pid` is the process to measure. */
  | { readonly type: 'job-started'; readonly pid: number }
  /** The command could not be run; the VM is still there and must be released. */
  | { readonly type: 'job-failed'; readonly error: string }
  /**
   * The command ended; its last output may still be on its way. `oomKilled`: the guest's kernel killed it because the
   * guest was out of memory.
   */
  | { readonly type: 'job-exited'; readonly exit: Exit; readonly oomKilled?: boolean }
  /** The VM is paused, with the reason; null when it continues. */
  | { readonly type: 'paused'; readonly reason: string | null }
  /** The VM process itself ended, and all its descriptors are closed. */
  | ({ readonly type: 'process-ended'; readonly exit: Exit } & Partial<VmEnd>);

/** Cause of the end of a VM that was not asked to end. */
export interface VmEnd {
  readonly reason: VmEndReason;
  /** Limit that was reached, bytes; of `memory-limit` alone. */
  readonly memoryLimitBytes?: number;
  /** Port that the guest misused, and how; of `guest-flood` alone. */
  readonly offence?: string;
}

/**
 * Reason of the end of a VM that was not asked to end. A kernel that panics before its panic device works, or that has
 * none, ends as `guest-reset`; the last lines of the console tell.
 */
export type VmEndReason = Extract<
  EndReason,
  'guest-panic' | 'guest-reset' | 'guest-flood' | 'vm-crash' | 'memory-limit'
>;

export type VmProbe = Exclude<Probe, { type: 'log_line' }>;

/** Read end of a stream's FIFO, non-blocking. */
export interface ReadEnd {
  readonly stream: StreamName;
  readonly fd: number;
}

/** A VM whose process runs. */
export interface Instance {
  readonly identity: ProcessIdentity;
  /** Absolute path of the unix socket of its device in the group's network, or in its own; null without one. */
  readonly groupSocket: string | null;
  /** Sets the names of the group's members in the guest; they replace those set before. */
  setNames(members: readonly GroupMember[]): void;
  /**
   * Sends a signal (`SIGTERM`) to the command; the VM ends only if the command does.
   *
   * @param signal null for the stop signal of its image, SIGTERM where that names none
   */
  signalJob(signal: NodeJS.Signals | null): void;
  /**
   * Probes once. Never rejects: each failure is a result that is not ok, the end of the VM and `signal` included. The
   * command of the probe has ended, or was killed, by then.
   */
  probe(probe: VmProbe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult>;
  /** True when output may still be on its way after the command has ended, so that {@link Instance.drain} is needed. */
  readonly drains: boolean;
  /** Makes the VM write `marker` behind the last byte of stdout and stderr. Called after `job-exited`. */
  drain(marker: string): void;
  /** Lets the VM shut down. Called when all of its output has arrived. */
  release(): void;
  /** Describes what the VM is doing, for people; takes seconds at the most, and never rejects. */
  examine?(): Promise<string>;
  /** Signals the VM process itself. */
  kill(signal: NodeJS.Signals): void;
}

/**
 * A VM that is ready for launch: its runtime folder and FIFOs exist, and both ends of each FIFO are open, so reading may
 * begin. Must be launched or discarded, else the streams never end.
 */
export interface PreparedInstance {
  /** The caller owns them. */
  readonly streams: readonly ReadEnd[];
  /** Shortcomings of the VM, each with the reason, for people: `cpu_shares has no effect: …`. */
  readonly notes: readonly string[];
  /**
   * Starts the VM process and, when it has booted, the command. Events come after the promise is fulfilled.
   *
   * @throws MonocoreError `StartFailed`, `ToolMissing`
   */
  launch(onEvent: (event: BackendEvent) => void): Promise<Instance>;
  /** Closes the VM's ends of the streams. */
  discard(): void;
}

/** A VM that an earlier daemon launched. Its image is also null where that is not in the store any more. */
export interface AdoptRequest extends Pick<LaunchRequest, 'service' | 'localOnly' | 'groupIndex' | 'image'> {
  /** Its process, from the state file; null when the daemon ended before it knew. */
  readonly identity: ProcessIdentity | null;
  /** True when a guest that waits for its job gets it; false when the service was being stopped. */
  readonly runJob: boolean;
}

/** State of such a VM. */
export type Adoption =
  | (Pick<PreparedInstance, 'streams' | 'notes'> & {
      readonly type: 'running';
      /** Begins to supervise it again. Events come after this returns. */
      readonly attach: (onEvent: (event: BackendEvent) => void) => Instance;
    })
  /** `exit` is from the exit record; null when the record has none. `oomKilled` as in {@link BackendEvent}. */
  | { readonly type: 'gone'; readonly exit: Exit | null; readonly oomKilled?: boolean };

/** Starts VMs of one kind. Main thread. */
export interface Backend {
  /**
   * Prepares a launch. `signal` cancels it.
   *
   * @throws MonocoreError `StartFailed`, `ToolMissing`, `Aborted`
   */
  prepare(request: LaunchRequest, signal: AbortSignal): Promise<PreparedInstance>;
  /**
   * Finds a VM that an earlier daemon launched, and kills one that was cut off in the middle of its launch.
   *
   * @throws MonocoreError `StartFailed` when its streams cannot be opened
   */
  adopt(request: AdoptRequest): Promise<Adoption>;
  /** Opens the read end of a stream's FIFO again, for a log worker that lost its own. The caller owns it. */
  reopenStream(service: string, stream: StreamName): number;
  /**
   * Kills the processes of a service that cannot be adopted, and waits for their end.
   *
   * @param identity its process, where it is known
   * @returns number of processes that were found
   * @throws MonocoreError `StopFailed` when one does not end
   */
  endStrays(service: string, identity: ProcessIdentity | null): Promise<number>;
  /** Removes the runtime folder of a service whose process has ended; does nothing where there is none. */
  cleanUp(service: string): Promise<void>;
  /** Removes the data that a service keeps from one run to the next. The service must not run. */
  removeData(service: string): Promise<void>;
}
