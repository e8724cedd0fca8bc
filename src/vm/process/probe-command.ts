/** Runs the command of an exec probe. Main thread. */

import type { SpawnRequest } from '../../protocol/spawner.ts';
import { CANCELLED, noAnswer, type ProbeResult } from '../../protocol/supervision.ts';
import type { Exit } from '../backend.ts';
import type { Spawner } from '../host/spawner.ts';
import { killGroup } from './process-group.ts';

function resultOf({ code, signal }: Exit): ProbeResult {
  return { ok: code === 0, detail: signal === null ? `exit code ${code ?? 'unknown'}` : `ended by ${signal}` };
}

/**
 * Runs a command to its end; exit code 0 is a success. It has a process group of its own, of which nothing is left
 * when this answers.
 *
 * @param timeoutMs when it is killed
 * @param signal kills it, too
 * @throws MonocoreError `StartFailed` for what cannot be started
 */
export async function runProbe(
  spawner: Spawner,
  command: Omit<SpawnRequest, 'fds'>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  if (signal.aborted) return CANCELLED;
  /** Why it is killed. */
  let verdict: ProbeResult | null = null;
  let kill = (): void => {};
  const cut = (result: ProbeResult): void => {
    verdict ??= result;
    kill();
  };
  const timer = setTimeout(() => cut(noAnswer(timeoutMs)), timeoutMs);
  const onAbort = () => cut(CANCELLED);
  signal.addEventListener('abort', onAbort);
  try {
    const child = await spawner.spawn({ ...command, fds: ['null', 'null', 'null'] }, null);
    const exit = await new Promise<Exit>((resolve) => {
      child.onExit(resolve);
      kill = () => killGroup(child.identity);
      if (verdict) kill();
    });
    killGroup(child.identity);
    return verdict ?? resultOf(exit);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
