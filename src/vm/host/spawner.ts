/** Starting processes that outlive the daemon, and that it is told the end of. */
import type { SpawnRequest } from '../../protocol/spawner.ts';
import type { HostProcess } from './host-process.ts';

/** A process that was started. */
export interface SpawnedProcess extends HostProcess {
  /** Whether its end is known. */
  readonly ended: boolean;
}

/** Starts processes, off the main thread; `daemon.ts` plugs the spawner in. Main thread. */
export interface Spawner {
  /**
   * @param ownPath an argument, or a part of one, that no other process has: where the spawner dies in between, the process
   * is found by that and killed
   * @throws MonocoreError `StartFailed` when it cannot be executed; no process is left then
   */
  spawn(request: SpawnRequest, ownPath: string | null): Promise<SpawnedProcess>;
}
