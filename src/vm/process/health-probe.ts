/** Health probes of plain processes. Main thread. */
import { errorText } from '../../lib/errors.ts';
import type { Service } from '../../protocol/service.ts';
import type { SpawnRequest } from '../../protocol/spawner.ts';
import { CANCELLED, type NetworkProbe, noAnswer, type ProbeResult } from '../../protocol/supervision.ts';
import type { Exit, VmProbe } from '../backend.ts';
import type { Spawner } from '../host/host-process.ts';
import { findExecutable } from '../host/host-tools.ts';
import type { AppliedLimits } from '../host/limits/service-limits.ts';
import { type HostUser, renderUserSwitch } from '../host/limits/user.ts';
import { ownCommand } from '../host/service-command.ts';
import { renderEnvironment } from './environment.ts';
import { killGroup } from './process-group.ts';

/** Probes ports of this host, off the main thread; the daemon plugs in the metrics thread. */
export interface Prober {
  /** Never rejects; its connection is closed when it answers. */
  probe(probe: NetworkProbe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult>;
}

/** Probes of one service. Commands run as the service does: with its user, variables, folder and limits. */
export class ProcessProbes {
  readonly #service: Service;
  readonly #findUser: () => Promise<HostUser | null>;
  readonly #limits: AppliedLimits;
  readonly #spawner: Spawner;
  readonly #prober: Prober;
  readonly #open = new Set<AbortController>();
  #hasEnded = false;

  constructor(
    service: Service,
    findUser: () => Promise<HostUser | null>,
    limits: AppliedLimits,
    spawner: Spawner,
    prober: Prober,
  ) {
    this.#service = service;
    this.#findUser = findUser;
    this.#limits = limits;
    this.#spawner = spawner;
    this.#prober = prober;
  }

  /** See `Instance.probe`. */
  async ask(probe: VmProbe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
    if (this.#hasEnded || signal.aborted) return CANCELLED;
    const cancel = new AbortController();
    const abort = (): void => cancel.abort();
    signal.addEventListener('abort', abort);
    this.#open.add(cancel);
    try {
      if (probe.type !== 'exec') return await this.#prober.probe(probe, timeoutMs, cancel.signal);
      return await this.#run(probe.command, timeoutMs, cancel.signal);
    } catch (error) {
      return { ok: false, detail: errorText(error) };
    } finally {
      signal.removeEventListener('abort', abort);
      this.#open.delete(cancel);
    }
  }

  /** Cancels all probes, later ones included: the process has ended. */
  end(): void {
    this.#hasEnded = true;
    for (const cancel of this.#open) cancel.abort();
  }

  async #run([name = '', ...args]: readonly string[], timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
    const { workdir } = ownCommand(this.#service);
    const user = await this.#findUser();
    const env = renderEnvironment(this.#service, user);
    const program = findExecutable(name, workdir, env.PATH ?? '');
    const [first = program, ...rest] = [...renderUserSwitch(user), program, ...args];
    const command = this.#limits.wrap({ program: first, args: rest });
    return runProbe(this.#spawner, { ...command, workdir, env }, timeoutMs, signal);
  }
}

function resultOf({ code, signal }: Exit): ProbeResult {
  return { ok: code === 0, detail: signal === null ? `exit code ${code ?? 'unknown'}` : `ended by ${signal}` };
}

/**
 * Runs the command of an exec probe to its end; exit code 0 is a success. The command has a process group of its own, and
 * the whole group has ended when this answers.
 *
 * @param timeoutMs time after which it is killed
 * @param signal kills it, too
 * @throws MonocoreError `StartFailed` for a command that cannot be started
 */
async function runProbe(
  spawner: Spawner,
  command: Omit<SpawnRequest, 'fds'>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  if (signal.aborted) return CANCELLED;
  /** Reason of the kill. */
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
