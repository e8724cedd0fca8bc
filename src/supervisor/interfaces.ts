/** Interfaces that a supervisor needs of the rest of the daemon. `daemon.ts` passes the real parts, tests pass fakes. */
import type { Clock } from '../lib/clock.ts';
import type { Report } from '../lib/report.ts';
import type { ImageRequest, ImageSettings, ServiceImage } from '../protocol/images.ts';
import type { Isolation } from '../protocol/isolation.ts';
import type { StreamName } from '../protocol/log-files/names.ts';
import type { HomeLogSettings, LogSettings } from '../protocol/log-settings.ts';
import type { GroupMember, GroupPort } from '../protocol/network.ts';
import type { Metrics } from '../protocol/service.ts';
import type { SavedState } from '../protocol/state.ts';
import type { Backend, ReadEnd } from '../vm/backend.ts';
import type { StartSlots } from './start-slots.ts';

/** Callbacks about the captured streams of a service. */
export interface CaptureHandlers {
  /** Opens a stream again after the log worker died. The fd belongs to the worker. */
  readonly reopen: (stream: StreamName) => number;
  /** Called when the streams have ended and the log files have all of them. */
  readonly onEnded: () => void;
  /** Gets the reason why the log files cannot be written; null once they can be again. */
  readonly onStalled?: (error: string | null) => void;
  /** True: an earlier daemon captured the streams, so its last record may be continued. False by default. */
  readonly continues?: boolean;
}

/** The log worker. */
export interface LogSink {
  /** Starts to capture. From the call on, the fds belong to the log worker. */
  capture(
    service: string,
    streams: readonly ReadEnd[],
    handlers: CaptureHandlers,
    settings: LogSettings,
  ): Promise<void>;
  /**
   * Starts to look for a marker in stdout and stderr, then calls `send`; resolves when both have delivered it. Null waits
   * for the current content of their FIFOs instead.
   */
  awaitMarker(service: string, marker: string | null, send: () => void): Promise<void>;
  /**
   * Calls `onSeen` once, when a line of stdout or stderr since `sinceMs` matches the regular expression.
   *
   * @returns ends the search
   */
  watchForLine(service: string, pattern: string, sinceMs: number, onSeen: () => void): () => void;
  /**
   * Last records of a service, without their newlines, oldest first.
   *
   * @param sinceIso RFC 3339; older records belong to an earlier run and are left out
   */
  lastLines(service: string, streams: readonly StreamName[], tail: number, sinceIso: string): Promise<string[]>;
  /**
   * Ends streams that a process which outlived the VM holds open. Their content is read first; `onEnded` is called.
   *
   * @param mayWait false: at once, with the loss of what cannot be written
   */
  closeStreams(service: string, mayWait: boolean): void;
}

/** The metrics worker. */
export interface MetricsSink {
  watch(service: string, pid: number, onSample: (metrics: Metrics) => void): void;
  unwatch(service: string): void;
}

/** Callbacks about the network of a VM. */
export interface NetworkHandlers {
  /** Gets the members of the group: before {@link NetworkSink.attach} returns, and at each change. Only with a group. */
  readonly onNames: (members: readonly GroupMember[]) => void;
  /** Gets the current faults of the network, for people; there are none at first. */
  readonly onNotes: (notes: readonly string[]) => void;
}

/** The network worker. */
export interface NetworkSink {
  /** Connects a VM with its group and opens its UDP ports, until {@link NetworkSink.detach}. */
  attach(port: GroupPort, handlers: NetworkHandlers): void;
  /** Disconnects a VM at once, if it is connected. Resolves when its UDP ports are free. */
  detach(service: string): Promise<void>;
  /** Sets the members of a group, including VMs that do not run. */
  setMembers(group: string, members: readonly GroupMember[]): void;
}

/** A service of an earlier daemon whose state cannot be read, though processes of it may run. */
export interface LostService {
  readonly name: string;
  /** For people. */
  readonly reason: string;
  /** False where there is only a runtime folder without a state file. */
  readonly isDamaged: boolean;
}

/** The store of state files. */
export interface StateStore {
  /** Resolves when the state is on disk. */
  save(saved: SavedState): Promise<void>;
  /** Writes a state soon; a crash may lose it, and a later save replaces it. */
  saveSoon(saved: SavedState): void;
  /**
   * Keeps the final state of a run and removes the state file.
   *
   * @param afterwards called once the state is on disk, after any number of attempts
   */
  conclude(saved: SavedState, afterwards?: () => Promise<void>): Promise<void>;
  /** Removes the final state of a service. */
  remove(service: string): Promise<void>;
}

/** The source of images that services boot from. */
export interface ImageSource {
  /**
   * Pulls and prepares an image, unless it is ready to boot from.
   *
   * @throws MonocoreError `Aborted` when the signal fires; the reason when the image cannot be pulled or prepared
   */
  fetch(request: ImageRequest): Promise<ServiceImage>;
  /** Finds an image that is ready to boot from, else null. @throws MonocoreError when it is damaged */
  recall(digest: string): Promise<ServiceImage | null>;
  /** Sets the limits of pulls and of prepared images. */
  configure(settings: ImageSettings): void;
}

/** The world of a supervisor. */
export interface SupervisorContext {
  readonly clock: Clock;
  readonly backends: Readonly<Record<Isolation, Backend>>;
  readonly logs: LogSink;
  readonly metrics: MetricsSink;
  readonly network: NetworkSink;
  readonly store: StateStore;
  readonly images: ImageSource;
  readonly bootSlots: StartSlots;
  /**
   * Fires when the threads begin to end while services may run on. Events are then left to the next daemon: the end of a
   * stream, for example, may be the end of its reader.
   */
  readonly closing: AbortSignal;
  readonly report: Report;
  /** Random number, from 0 to below 1. */
  readonly random: () => number;
  /** Called between any two steps of a start or a stop, so that tests can kill the daemon there. */
  readonly onStep?: (service: string, step: string) => void;
}

/** The world of an orchestrator. */
export interface OrchestratorContext extends SupervisorContext {
  /** Last records of a service since then, or of its console where there are none; oldest first. */
  lastLines(service: string, sinceMs: number): Promise<string[]>;
  /** Sets the limits of all log files of the home. */
  limitLogs(settings: HomeLogSettings): void;
  /** Removes the log files of a service that has ended. */
  removeLogs(service: string): Promise<void>;
}
