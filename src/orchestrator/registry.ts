/** The services that are known in one home. */
import { EventEmitter } from 'node:events';
import type { ServiceDefinition } from '../lifecycle/document.ts';
import type { LifecyclePorts } from '../lifecycle/ports.ts';
import type { ServiceState } from '../lifecycle/state.ts';
import { Supervisor } from '../lifecycle/supervisor.ts';
import type { ControlEvent } from '../protocol/control.ts';

/** Supervisors by name; emits what changes about any of them, in order. Main thread. */
export class Registry extends EventEmitter<{ event: [ControlEvent] }> {
  readonly #ports: LifecyclePorts;
  readonly #supervisors = new Map<string, Supervisor>();

  constructor(ports: LifecyclePorts) {
    super();
    this.#ports = ports;
  }

  get(name: string): Supervisor | undefined {
    return this.#supervisors.get(name);
  }

  all(): Supervisor[] {
    return [...this.#supervisors.values()];
  }

  /** A supervisor for a service, in place of the one that may be there. */
  install(definition: ServiceDefinition, initial?: ServiceState): Supervisor {
    return this.add(new Supervisor(definition, this.#ports, initial));
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
