/** Hooks into a running daemon for tests and benchmarks. Nothing here is used in production. */
import type { ThreadStatus } from '../protocol/http.ts';
import type { SupervisorContext } from '../supervisor/interfaces.ts';

/** Worker thread, job pool or spawner: each can be ended as if it had crashed. */
export interface Crashable {
  status(): ThreadStatus;
  /** Ends it wherever it is; resolves once it has ended. It is restarted as after any crash. */
  crash(): Promise<void>;
}

export interface TestHooks {
  /** Called between any two steps of a start or a stop, to kill the daemon there. */
  readonly onStep?: NonNullable<SupervisorContext['onStep']>;
  /**
   * Called once the daemon serves requests. `crash` ends the thread with that name, as shown by `monocore daemon
   * status`.
   */
  readonly onServing?: (crash: (thread: string) => Promise<void>) => void;
}

/** Crashes a part by its name; does nothing for an unknown name. */
export async function crashByName(parts: readonly Crashable[], name: string): Promise<void> {
  await parts.find((part) => part.status().name === name)?.crash();
}
