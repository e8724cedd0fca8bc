/** Known services of a home, and the outcomes of commands on them. */
import type { ControlEvent, ServiceOutcome } from '../protocol/api.ts';
import type { SupervisorContext } from '../supervisor/interfaces.ts';
import type { ServiceState } from '../supervisor/states.ts';
import type { ServiceDefinition } from '../supervisor/status.ts';
import { Supervisor } from '../supervisor/supervisor.ts';

/** Supervisors by name. Main thread. */
export class Registry {
  readonly #context: SupervisorContext;
  readonly #onEvent: (event: ControlEvent) => void;
  readonly #supervisors = new Map<string, Supervisor>();

  /** Creates the registry. @param onEvent receives every change of any service, in order */
  constructor(context: SupervisorContext, onEvent: (event: ControlEvent) => void) {
    this.#context = context;
    this.#onEvent = onEvent;
  }

  get(name: string): Supervisor | undefined {
    return this.#supervisors.get(name);
  }

  all(): Supervisor[] {
    return [...this.#supervisors.values()];
  }

  /** Adds the supervisor of a service, replacing an earlier one. */
  install(definition: ServiceDefinition, initial?: ServiceState): Supervisor {
    return this.add(new Supervisor(definition, this.#context, initial));
  }

  add(supervisor: Supervisor): Supervisor {
    this.#supervisors.get(supervisor.name)?.removeAllListeners();
    this.#supervisors.set(supervisor.name, supervisor);
    supervisor.on('change', (service) => this.#onEvent({ type: 'service', service }));
    supervisor.announce();
    return supervisor;
  }

  delete(name: string): void {
    this.#supervisors.delete(name);
    this.#onEvent({ type: 'removed', name });
  }
}

/** Error of a start that was cancelled by a stop. */
export const CANCELLED = 'it was stopped before its command ran';

export function failed(supervisor: Supervisor, error: string, lastLines: readonly string[] = []): ServiceOutcome {
  return { service: supervisor.status(), outcome: 'failed', error, last_lines: lastLines };
}

/** Outcome of a successful command. @param changed false if there was nothing to do */
export function succeeded(supervisor: Supervisor, changed: boolean): ServiceOutcome {
  const outcome = changed ? 'changed' : 'unchanged';
  return { service: supervisor.status(), outcome, error: null, last_lines: [] };
}
