/** What a supervisor needs from the rest of the daemon; `runtime.ts` plugs the real parts in, tests others. */

import type { Clock } from '../lib/clock.ts';
import type { Report } from '../lib/report.ts';
import type { ServiceImage } from '../protocol/images.ts';
import type { StreamName } from '../protocol/log-files/names.ts';
import type { GroupMember, GroupPort } from '../protocol/network.ts';
import type { HomeLogSettings, ImageSettings, Isolation, LogSettings, Metrics } from '../protocol/service.ts';
import type { SavedState } from '../protocol/state-document.ts';
import type { Backend } from '../vm/backend.ts';
import type { StartSlots } from './start-slots.ts';

/** What becomes of the streams of a service while they are captured. */
export interface CaptureHandlers {
  /** Opens a stream once more after the log worker died. The fd belongs to the worker. */
  readonly reopen: (stream: StreamName) => number;
  /** All streams have ended and everything is in the files. */
  readonly onEnded: () => void;
  /** Why they cannot be written from now on; null when they can be again. */
  readonly onStalled?: (error: string | null) => void;
  /** An earlier daemon captured them: what it could not finish goes on. False by default. */
  readonly continues?: boolean;
}

/** The log worker. */
export interface LogSink {
  /** Starts to capture; the fds belong to the log worker from the call on. */
  capture(
    service: string,
    streams: readonly { readonly stream: StreamName; readonly fd: number }[],
    handlers: CaptureHandlers,
    settings: LogSettings,
  ): Promise<void>;
  /**
   * Begins to look for the marker in stdout and stderr, then calls `send`; resolves when both have brought it. Null stands
   * for the end of what is in their FIFOs now.
   */
  awaitMarker(service: string, marker: string | null, send: () => void): Promise<void>;
  /**
   * Calls `onSeen` once, when a line of stdout or stderr since then matches the regular expression.
   *
   * @returns what ends the search
   */
  watchForLine(service: string, pattern: string, sinceMs: number, onSeen: () => void): () => void;
  /**
   * The last records of a service, without their newlines, oldest first.
   *
   * @param sinceIso RFC 3339; what is older belongs to an earlier run and is left out
   */
  lastLines(service: string, streams: readonly StreamName[], tail: number, sinceIso: string): Promise<string[]>;
  /** Ends streams that a process holds which outlived the VM: what they hold now is read. They end as ever. */
  closeStreams(service: string): void;
}

/** The metrics worker. */
export interface MetricsSink {
  /** Samples go to `onSample` until {@link MetricsSink.unwatch}. */
  watch(service: string, pid: number, onSample: (metrics: Metrics) => void): void;
  unwatch(service: string): void;
}

/** What a VM is told of its network. */
export interface NetworkHandlers {
  /** The members of its group: before {@link NetworkSink.attach} returns and at each change. Not called without a group. */
  readonly onNames: (members: readonly GroupMember[]) => void;
  /** What does not work of it from now on, for people; none at first. */
  readonly onNotes: (notes: readonly string[]) => void;
}

/** The network worker. */
export interface NetworkSink {
  /** Connects a VM with the others of its group, and opens its UDP ports, until {@link NetworkSink.detach}. */
  attach(port: GroupPort, handlers: NetworkHandlers): void;
  /** Disconnects it at once; does nothing for one that is not connected. Resolves when its UDP ports are free. */
  detach(service: string): Promise<void>;
  /** Members of a group from now on, its VMs that do not run included. */
  setMembers(group: string, members: readonly GroupMember[]): void;
}

/** Where state files are kept. */
export interface StateStore {
  /** Resolves when the document is on disk. */
  save(document: SavedState): Promise<void>;
  /** Writes a document that may be lost in a crash, soon; a later save replaces one that waits. */
  saveSoon(document: SavedState): void;
  /**
   * Keeps the document as that of an ended service and removes the state file. What cannot be written is tried again, and
   * `afterwards` is done when it is written.
   */
  conclude(document: SavedState, afterwards?: () => Promise<void>): Promise<void>;
  /** Forgets an ended service. */
  remove(service: string): Promise<void>;
}

/** Where services get the images that they boot from. */
export interface ImageSource {
  /**
   * An image that is ready to boot from; it is pulled and prepared where it is not.
   *
   * @param request `digest` is that of the image that the service ran from before, to be taken again if it is still
   * there, or null; `onProgress` is told what is being done, for people
   * @throws MonocoreError `Aborted` when the signal fires; why it cannot be had
   */
  fetch(request: {
    readonly name: string;
    readonly digest: string | null;
    readonly signal: AbortSignal;
    readonly onProgress: (text: string) => void;
  }): Promise<ServiceImage>;
  /** The same without any work; null for one that is not ready. @throws MonocoreError when it is damaged */
  recall(digest: string): Promise<ServiceImage | null>;
  /** What is pulled and prepared from now on is within these. */
  configure(settings: ImageSettings): void;
}

/** All of it. */
export interface SupervisorContext {
  readonly clock: Clock;
  readonly backends: Readonly<Record<Isolation, Backend>>;
  readonly logs: LogSink;
  readonly metrics: MetricsSink;
  readonly network: NetworkSink;
  readonly store: StateStore;
  readonly images: ImageSource;
  /** Lets VMs be between their launch and their first line: booting is all CPU, so only a few at once. */
  readonly boots: StartSlots;
  /**
   * Fires when the threads begin to end, and services may run on: what comes from then on is left to the next daemon. The
   * end of a stream, for example, may then be that of its reader.
   */
  readonly closing: AbortSignal;
  readonly report: Report;
  /** A random number, from 0 to below 1. */
  readonly random: () => number;
  /** Called at each point between two steps of a start or a stop, by name, so that tests can end the daemon there. */
  readonly onStep?: (service: string, step: string) => void;
}

/** What an orchestrator needs beside that. */
export interface OrchestratorContext extends SupervisorContext {
  /** The last records that a service, or else its VM, printed since that time; oldest first. */
  lastLines(service: string, sinceMs: number): Promise<string[]>;
  /** Keeps the log files of the whole home within those limits from now on. */
  limitLogs(settings: HomeLogSettings): void;
  /** Removes the log files of a service that has ended. */
  removeLogs(service: string): Promise<void>;
}
