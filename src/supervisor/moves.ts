/** The two ways in which an event is answered. Pure. */
import type { Effect, ServiceState, Transition, VmState } from './states.ts';

/** Nothing comes of it, but for what the user wants. */
export function ignore(service: ServiceState): Transition {
  return { state: service, effects: [] };
}

export function move(service: ServiceState, actual: VmState, effects: readonly Effect[]): Transition {
  return { state: { ...service, actual }, effects };
}
