/** Health probes of plain processes. Main thread. */
import { within } from '../../lib/promises.ts';
import type { Service } from '../../protocol/service.ts';
import { CANCELLED, noAnswer, type ProbeResult } from '../../protocol/supervision.ts';
import type { Exit, VmProbe } from '../backend.ts';
import type { BackendHost } from '../host/host-backend.ts';
import type { AppliedLimits } from '../host/limits/service-limits.ts';
import type { HostUser } from '../host/limits/user.ts';
import { completeCommand } from './command.ts';
import { killGroup } from './process-group.ts';

/** Service under test; exec probes run like its command: with its user, variables, folder and limits. */
export interface ProbedService {
  readonly service: Service;
  readonly findUser: () => Promise<HostUser | null>;
  readonly limits: AppliedLimits;
}

/**
 * Probes once. The command of an exec probe has a separate process group, all of which has ended when this resolves;
 * exit code 0 means success.
 *
 * @throws MonocoreError `StartFailed`, `ToolMissing` for a command that cannot be started
 */
export async function probeProcess(
  { service, findUser, limits }: ProbedService,
  { spawner, prober }: BackendHost,
  probe: VmProbe,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  if (probe.type !== 'exec') return prober.probe(probe, timeoutMs, signal);
  const { words, workdir, env } = completeCommand(service, await findUser(), probe.command);
  if (signal.aborted) return CANCELLED;
  const deadlineMs = performance.now() + timeoutMs;
  const command = limits.join({ program: words[0]!, args: words.slice(1) });
  const child = await spawner.spawn({ ...command, workdir, env, fds: ['null', 'null', 'null'] }, null);
  const exited = child.exited();
  const exit = await within(exited, deadlineMs - performance.now(), { signal });
  killGroup(child.identity);
  if (exit) return resultOf(exit);
  await exited;
  return signal.aborted ? CANCELLED : noAnswer(timeoutMs);
}

function resultOf({ code, signal }: Exit): ProbeResult {
  return { ok: code === 0, detail: signal === null ? `exit code ${code ?? 'unknown'}` : `ended by ${signal}` };
}
