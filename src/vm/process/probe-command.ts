/** Runs the command of an exec probe. Main thread. */
import { type SpawnOptions, spawn } from 'node:child_process';
import { errorText } from '../../errors.ts';
import { CALLED_OFF, noAnswer, type ProbeResult } from '../../protocol/probe.ts';
import type { Command } from '../limits/launcher.ts';
import { identify } from '../process-identity.ts';

function resultOf(code: number | null, signal: NodeJS.Signals | null): ProbeResult {
  return { ok: code === 0, detail: signal === null ? `exit code ${code}` : `ended by ${signal}` };
}

/**
 * Kills what is left of the group of a process that has ended. Its id is not used again while the group has members:
 * whoever has that pid now shows that there are none.
 */
function killRest(leader: number): void {
  if (identify(leader)) return;
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // Nobody was left.
  }
}

/**
 * Runs a command to its end; exit code 0 is a success. It has a process group of its own, of which nothing is left
 * when this answers.
 *
 * @param timeoutMs when it is killed
 * @param signal kills it, too
 * @throws the system's error, or Node's, for what cannot be started
 */
export function runProbe(
  { program, args }: Command,
  options: Pick<SpawnOptions, 'cwd' | 'env'>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  if (signal.aborted) return Promise.resolve(CALLED_OFF);
  return new Promise((resolve) => {
    const child = spawn(program, args, { ...options, stdio: 'ignore', detached: true });
    /** What is answered once the killed command has ended. */
    let verdict: ProbeResult | null = null;
    const cut = (result: ProbeResult): void => {
      verdict ??= result;
      child.kill('SIGKILL');
    };
    const timer = setTimeout(() => cut(noAnswer(timeoutMs)), timeoutMs);
    const onAbort = () => cut(CALLED_OFF);
    signal.addEventListener('abort', onAbort);
    const answer = (result: ProbeResult): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      resolve(result);
    };
    child.once('error', (error) => answer({ ok: false, detail: errorText(error) }));
    child.once('exit', (code, endedBy) => {
      killRest(child.pid!);
      answer(verdict ?? resultOf(code, endedBy));
    });
  });
}
