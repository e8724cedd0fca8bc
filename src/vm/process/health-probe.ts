/** Asks a plain process whether it works. Main thread. */
import { errorText } from '../../lib/errors.ts';
import type { Service } from '../../protocol/service.ts';
import { CANCELLED, type NetworkProbe, type ProbeResult } from '../../protocol/supervision.ts';
import type { VmProbe } from '../backend.ts';
import { findExecutable } from '../host/executables.ts';
import type { AppliedLimits } from '../host/limits/service-limits.ts';
import type { HostUser } from '../host/limits/user.ts';
import { renderUserSwitch } from '../host/limits/user-switch.ts';
import { ownCommand } from '../host/service-command.ts';
import type { Spawner } from '../host/spawner.ts';
import { renderEnvironment } from './environment.ts';
import { runProbe } from './probe-command.ts';

/** Asks ports of this host, off the main thread; `daemon.ts` plugs the metrics thread in. */
export interface Prober {
  /** Never rejects; its connection is closed when it answers. */
  probe(probe: NetworkProbe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult>;
}

/** The probes of one service. Commands run as the service does: its user, variables, folder and limits. */
export class ProcessProbes {
  readonly #service: Service;
  readonly #findUser: () => Promise<HostUser | null>;
  readonly #limits: AppliedLimits;
  readonly #spawner: Spawner;
  readonly #prober: Prober;
  readonly #ended = new AbortController();

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
    const cancel = new AbortController();
    const abort = () => cancel.abort();
    const causes = [signal, this.#ended.signal];
    for (const cause of causes) {
      cause.addEventListener('abort', abort);
      if (cause.aborted) abort();
    }
    try {
      if (cancel.signal.aborted) return CANCELLED;
      if (probe.type !== 'exec') return await this.#prober.probe(probe, timeoutMs, cancel.signal);
      return await this.#run(probe.command, timeoutMs, cancel.signal);
    } catch (error) {
      return { ok: false, detail: errorText(error) };
    } finally {
      for (const cause of causes) cause.removeEventListener('abort', abort);
    }
  }

  /** Calls off what is being asked, and all that is asked from now on: the process has ended. */
  end(): void {
    this.#ended.abort();
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
