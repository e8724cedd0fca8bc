/** Registry of the known services of a home. */
import { EventEmitter } from 'node:events';
import type { ControlEvent } from '../protocol/api.ts';
import type { SupervisorContext } from '../supervisor/interfaces.ts';
import type { ServiceState } from '../supervisor/states.ts';
import type { ServiceDefinition } from '../supervisor/status.ts';
import { Supervisor } from '../supervisor/supervisor.ts';

/** Supervisors by name; emits every change of any of them, in order. Main thread. */
export class Registry extends EventEmitter<{ event: [ControlEvent] }> {
  readonly #context: SupervisorContext;
  readonly #supervisors = new Map<string, Supervisor>();

  constructor(context: SupervisorContext) {
    super();
    this.#context = context;
  }

  get(name: string): Supervisor | undefined {
    return this.#supervisors.get(name);
  }

  all(): Supervisor[] {
    return [...this.#supervisors.values()];
  }

  /** Adds a supervisor for a service, in place of an earlier one. */
  install(definition: ServiceDefinition, initial?: ServiceState): Supervisor {
    return this.add(new Supervisor(definition, this.#context, initial));
  }

  add(supervisor: Supervisor): Supervisor {
    this.#supervisors.get(supervisor.name)?.removeAllListeners();
    this.#supervisors.set(supervisor.name, supervisor);
    supervisor.on('change', (service) => this.emit('event', { type: 'service', service }));
    this.emit('event', { type: 'service', service: supervisor.status() });
    return supervisor;
  }

  delete(name: string): void {
    this.#supervisors.delete(name);
    this.emit('event', { type: 'removed', name });
  }
}
