/**
 * What a supervisor asks of the thing it supervises. Two kinds exist: a microVM (`qemu/`) and a plain process of the
 * host (`process/`). Both are told apart by the config alone; neither stands in for the other.
 */
import type { ProcessIdentity } from '../lib/proc.ts';
import type { ServiceImage } from '../protocol/images.ts';
import type { StreamName } from '../protocol/log-files/names.ts';
import type { GroupMember } from '../protocol/network.ts';
import type { EndReason, Probe, Service } from '../protocol/service.ts';
import type { ProbeResult } from '../protocol/supervision.ts';

export type { ProbeResult } from '../protocol/supervision.ts';

/** What a service is started with. */
export interface LaunchRequest {
  readonly service: Service;
  /** Host address that the service's ports are bound to. */
  readonly address: string;
  /** True: the guest reaches nothing but what is forwarded to it. */
  readonly localOnly: boolean;
  /** Its place in the network of its group, or in one of its own, see `protocol/network.ts`; null for none. */
  readonly groupIndex: number | null;
  /** Kernel image that the config names, or null. */
  readonly kernel: string | null;
  /** Root filesystem of a service with an `image`; null for every other. */
  readonly image?: ServiceImage | null;
}

/** How a command or process ended. Null is unknown, never a default. */
export interface Exit {
  /** 128 + n where a signal ended it, as shells count. */
  readonly code: number | null;
  readonly signal: string | null;
}

/**
 * What happens to a launched VM, in this order; everything but `process-ended` may be missing. `paused` comes at any time
 * before the end.
 */
export type BackendEvent =
  /** The command runs; `pid` is the process to measure. */
  | { readonly type: 'job-started'; readonly pid: number }
  /** The command could not be run; the VM is still there and must be released. */
  | { readonly type: 'job-failed'; readonly error: string }
  /**
   * The command ended; what it printed may still be on its way. `oomKilled`: the guest's kernel killed it, because the
   * guest was out of memory.
   */
  | { readonly type: 'job-exited'; readonly exit: Exit; readonly oomKilled?: boolean }
  /** The VM stands still, and why; null when it goes on. */
  | { readonly type: 'paused'; readonly reason: string | null }
  /**
   * The VM process itself ended, and all its descriptors are closed. `reason`: why, where it was not asked to and that
   * is known.
   */
  | { readonly type: 'process-ended'; readonly exit: Exit; readonly reason?: VmEndReason };

/**
 * Why a VM ended that was not asked to.
 *
 * - `guest-panic`: the guest's kernel said that it panicked
 * - `guest-reset`: the guest restarted or switched off the machine; so does a kernel that panics before its panic device
 *   works, or that has none: the last lines of the console tell
 * - `vm-crash`: the VM process failed, or was killed by somebody else
 */
export type VmEndReason = Extract<EndReason, 'guest-panic' | 'guest-reset' | 'vm-crash'>;

/** A question about a service that its VM can answer. */
export type VmProbe = Exclude<Probe, { type: 'log_line' }>;

/** A VM whose process runs. */
export interface Instance {
  readonly identity: ProcessIdentity;
  /** Absolute path of the unix socket of its device in the group's network, or its own; null when it has none. */
  readonly groupSocket: string | null;
  /** Makes names known in the guest, in place of those that were made known before. */
  setNames(members: readonly GroupMember[]): void;
  /**
   * Sends a signal (`SIGTERM`) to the command; the VM ends only if the command does.
   *
   * @param signal null for the one that asks the program of its image to end, SIGTERM where the image names none
   */
  signalJob(signal: NodeJS.Signals | null): void;
  /**
   * Asks once. Never rejects: what goes wrong is a result that is not ok, the end of the VM and `signal` included. What
   * it started has ended, or was killed, when it answers.
   */
  probe(probe: VmProbe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult>;
  /** Whether bytes may still be on their way when the command has ended, so that {@link Instance.drain} is needed. */
  readonly drains: boolean;
  /**
   * Makes the VM write `marker` behind the last byte of stdout and stderr. Called after `job-exited`, when the log
   * worker looks for it.
   */
  drain(marker: string): void;
  /** Lets the VM end in order. Called when everything that it printed has arrived. */
  release(): void;
  /** Signals the VM process itself. */
  kill(signal: NodeJS.Signals): void;
}

/**
 * A VM that is ready to be launched: its runtime folder and FIFOs exist, and both ends of each FIFO are open, so that
 * reading may begin. Must be launched or discarded, else the streams never end.
 */
export interface PreparedInstance {
  /** Read ends of the streams' FIFOs, non-blocking; the caller owns them. */
  readonly streams: readonly { readonly stream: StreamName; readonly fd: number }[];
  /** Limits of the service that it does not have, each with the reason, for people: `cpu_shares has no effect: …`. */
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

/** A VM that an earlier daemon launched. */
export interface AdoptRequest {
  readonly service: Service;
  /** As in the {@link LaunchRequest}. */
  readonly localOnly: boolean;
  readonly groupIndex: number | null;
  /** What it was booted from; null where nothing is known of it any more. */
  readonly image?: ServiceImage | null;
  /** Its process as the state file has it; null when the daemon ended before it knew. */
  readonly identity: ProcessIdentity | null;
  /** Whether a guest that waits for its job is to get it: not when the service was being stopped. */
  readonly runJob: boolean;
}

/** What has become of such a VM. */
export type Adoption =
  | {
      readonly type: 'running';
      /** As in {@link PreparedInstance}; the VM holds the other ends. */
      readonly streams: readonly { readonly stream: StreamName; readonly fd: number }[];
      /** As in {@link PreparedInstance}; those of its launch. */
      readonly notes: readonly string[];
      /** Begins to supervise it again. Events come after this returns. */
      readonly attach: (onEvent: (event: BackendEvent) => void) => Instance;
    }
  /** `exit` is from the exit record; null when the command did not end in order. `oomKilled` as in {@link BackendEvent}. */
  | { readonly type: 'gone'; readonly exit: Exit | null; readonly oomKilled?: boolean };

/** Starts VMs of one kind. Main thread. */
export interface Backend {
  /**
   * Makes everything that a launch needs. `signal` cancels it.
   *
   * @throws MonocoreError `StartFailed`, `ToolMissing`, `Aborted`
   */
  prepare(request: LaunchRequest, signal: AbortSignal): Promise<PreparedInstance>;
  /**
   * Finds a VM that an earlier daemon launched. One that was cut off in the middle of its launch is ended.
   *
   * @throws MonocoreError `StartFailed` when its streams cannot be opened
   */
  adopt(request: AdoptRequest): Promise<Adoption>;
  /** Opens the read end of a stream's FIFO once more, for a log worker that lost its own. The caller owns it. */
  reopenStream(service: string, stream: StreamName): number;
  /** Removes the runtime folder of a service whose process has ended; does nothing where there is none. */
  cleanUp(service: string): Promise<void>;
  /** Removes what a service keeps from one run to the next; does nothing where there is nothing. It must not run. */
  removeData(service: string): Promise<void>;
}
