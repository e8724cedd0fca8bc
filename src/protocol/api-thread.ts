/** What the api worker is started with, and what the main thread may ask of it. */
import type { ControlEvent } from './api.ts';

/** What the api worker is started with. */
export interface ApiBoot {
  /** Absolute path of the unix socket. */
  readonly socketPath: string;
  /** Its other end answers as `ControlApi`: the main thread. */
  readonly control: import('node:worker_threads').MessagePort;
  /** Its other end answers as `LogsApi`: the log worker. */
  readonly logs: import('node:worker_threads').MessagePort;
}

/** Commands of the main thread. Exposed with comlink. */
export interface ApiThreadApi {
  /**
   * Opens the socket, mode 0600, in the place of what is there: the daemon's lock says that no other daemon listens.
   * Throws `HomeUnusable`.
   */
  listen(): Promise<void>;
  /** Removes the socket, ends the streams that are open, waits a little for answers that are due, then cuts them off. */
  close(): Promise<void>;
  /** Passes `events` on to every client of `/v1/events`, in their order. */
  publish(events: readonly ControlEvent[]): Promise<void>;
  /** Takes the place of the port to the log worker after that was started again. */
  connectLogs(port: import('node:worker_threads').MessagePort): Promise<void>;
}
