/** Hooks of tests and benchmarks into a running daemon. Nothing here is used in production. */
import type { ThreadStatus } from '../protocol/http.ts';
import type { SupervisorContext } from '../supervisor/interfaces.ts';

/** A worker thread, the job pool or the spawner: all can be ended as by a crash. */
export interface Crashable {
  status(): ThreadStatus;
  /** Ends it wherever it is, and resolves when it has ended. It is started again like after any crash. */
  crash(): Promise<void>;
}

export interface TestHooks {
  /** Called between any two steps of a start or a stop, to kill the daemon there. */
  readonly onStep?: NonNullable<SupervisorContext['onStep']>;
  /** Called once the daemon serves. `crash` ends the thread of that name, as `monocore daemon status` shows it. */
  readonly onServing?: (crash: (thread: string) => Promise<void>) => void;
}

/** Crashes a part by its name; does nothing for an unknown one. */
export async function crashByName(parts: readonly Crashable[], name: string): Promise<void> {
  await parts.find((part) => part.status().name === name)?.crash();
}
