/**
 * Interfaces through which a supervisor uses the rest of the daemon. `daemon.ts` passes the real parts, tests pass
 * fakes.
 */
import type { Clock } from '../lib/clock.ts';
import type { ProcessIdentity } from '../lib/proc.ts';
import type { Report } from '../lib/report.ts';
import type { ImageRequest, ImageSettings, ServiceImage } from '../protocol/images.ts';
import type { Isolation } from '../protocol/isolation.ts';
import type { StreamName } from '../protocol/log-files/names.ts';
import type { HomeLogSettings, LogSettings } from '../protocol/log-settings.ts';
import type { GroupMember, GroupPort } from '../protocol/network.ts';
import type { Metrics, ProjectSettings } from '../protocol/service.ts';
import type { SavedState } from '../protocol/state.ts';
import type { Backend, ReadEnd } from '../vm/backend.ts';
import type { StartSlots } from './start-slots.ts';

/** Callbacks for the captured streams of a service. */
export interface CaptureHandlers {
  /** Opens a stream again after the log worker has died. The returned descriptor then belongs to the worker. */
  readonly reopen: (stream: StreamName) => number;
  /** Called when the streams have ended and all their output is in the log files. */
  readonly onEnded: () => void;
  /** Receives the reason why the log files cannot be written; null once they can be written again. */
  readonly onStalled?: (error: string | null) => void;
  /**
   * True if an earlier daemon captured the streams, so that the last record in the files may be continued. False by
   * default.
   */
  readonly continues?: boolean;
  /** True if {@link LogSink.watchForLine} needs to know lines that have no newline yet. False by default. */
  readonly tellsPartialLines?: boolean;
}

/** The log worker. */
export interface LogSink {
  /** Starts to capture streams. From the call on, the descriptors belong to the log worker. */
  capture(
    service: string,
    streams: readonly ReadEnd[],
    handlers: CaptureHandlers,
    settings: LogSettings,
  ): Promise<void>;
  /**
   * Looks for a marker in stdout and stderr, then calls `send`; resolves when both have delivered it. Null waits for
   * the current content of their FIFOs instead.
   */
  awaitMarker(service: string, marker: string | null, send: () => void): Promise<void>;
  /**
   * Calls `onSeen` once, when a line of stdout or stderr since `sinceMs` matches the regular expression.
   *
   * @returns a function that ends the search
   */
  watchForLine(service: string, pattern: string, sinceMs: number, onSeen: () => void): () => void;
  /**
   * Last records of a service without their newlines, oldest first.
   *
   * @param sinceIso RFC 3339; older records belong to an earlier run and are left out
   */
  lastLines(service: string, streams: readonly StreamName[], tail: number, sinceIso: string): Promise<string[]>;
  /**
   * Ends streams that a process holds open although its VM has ended. Reads their content first, then calls `onEnded`.
   *
   * @param mayWait false ends them at once and loses what cannot be written
   */
  closeStreams(service: string, mayWait: boolean): void;
}

/** The metrics worker. */
export interface MetricsSink {
  watch(service: string, pid: number, onSample: (metrics: Metrics) => void): void;
  unwatch(service: string): void;
}

/** Callbacks for the network of a VM. */
export interface NetworkHandlers {
  /**
   * Receives the members of the group: before {@link NetworkSink.attach} returns, and at each change. Only with a
   * group.
   */
  readonly onNames: (members: readonly GroupMember[]) => void;
  /** Receives the current network problems, for people; initially there are none. */
  readonly onNotes: (notes: readonly string[]) => void;
}

/** The network worker. */
export interface NetworkSink {
  /** Connects a VM to its group and opens its UDP ports, until {@link NetworkSink.detach}. */
  attach(port: GroupPort, handlers: NetworkHandlers): void;
  /** Disconnects a VM at once if it is connected. Resolves when its UDP ports are free. */
  detach(service: string): Promise<void>;
  /** Sets the members of a group, including VMs that are not running. */
  setMembers(group: string, members: readonly GroupMember[]): void;
}

/** Service of an earlier daemon whose state cannot be read, although processes of it may be running. */
export interface LostService {
  readonly name: string;
  /** Text for people. */
  readonly reason: string;
  /** False if there is only a runtime folder without a state file. */
  readonly isDamaged: boolean;
}

/** The store of state files. */
export interface StateStore {
  /** Resolves when the state is on disk. */
  save(saved: SavedState): Promise<void>;
  /** Writes a state soon; a crash may lose it, and a later save may replace it. */
  saveSoon(saved: SavedState): void;
  /**
   * Saves the final state of a run and removes the state file.
   *
   * @param afterwards called once the state is on disk, after any number of attempts
   */
  conclude(saved: SavedState, afterwards?: () => Promise<void>): Promise<void>;
  /** Removes the final state of a service. */
  remove(service: string): Promise<void>;
}

/** Provider of images that services boot from. */
export interface ImageSource {
  /**
   * Pulls and prepares an image, unless it is ready to boot from.
   *
   * @throws MonocoreError `Aborted` if the signal fires; the reason if the image cannot be pulled or prepared
   */
  fetch(request: ImageRequest): Promise<ServiceImage>;
  /** Finds an image that is ready to boot from; null if there is none. @throws MonocoreError if it is damaged */
  recall(digest: string): Promise<ServiceImage | null>;
  /** Sets the limits for pulled and prepared images. */
  configure(settings: ImageSettings): void;
}

/** Everything that a supervisor uses of its surroundings. */
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
   * Fires when the threads begin to end while services may keep running. From then on, events are left to the next
   * daemon: the end of a stream, for example, may merely be the end of its reader.
   */
  readonly closing: AbortSignal;
  /**
   * Kills the processes of a service that cannot be adopted, and waits for their end.
   *
   * @param identity its process, if known
   * @returns the number of processes that were found
   * @throws MonocoreError `StopFailed` if one does not end
   */
  endStrays(service: string, identity: ProcessIdentity | null): Promise<number>;
  readonly report: Report;
  /** Random number in [0, 1). */
  readonly random: () => number;
  /** Called between any two steps of a start or a stop, so that tests can kill the daemon there. */
  readonly onStep?: (service: string, step: string) => void;
}

/** Everything that an orchestrator uses of its surroundings. */
export interface OrchestratorContext extends SupervisorContext {
  /** Last records of a service since that time, or of its console if it printed none; oldest first. */
  lastLines(service: string, sinceMs: number): Promise<string[]>;
  /** Settings of projects that the previous daemon saved. */
  readonly savedSettings: readonly ProjectSettings[];
  /** Saves the settings of all projects for the next daemon. */
  saveSettings(settings: readonly ProjectSettings[]): void;
  /** Sets the limits of all log files of the home. */
  limitLogs(settings: HomeLogSettings): void;
  /** Removes the log files of a service that has ended. */
  removeLogs(service: string): Promise<void>;
}
