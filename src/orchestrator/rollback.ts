/** Rollback of a start of several services when one of them fails. */
import type { ServiceOutcome } from '../protocol/api.ts';
import type { ServiceDefinition } from '../supervisor/status.ts';
import { failed } from './outcomes.ts';
import type { Registry } from './registry.ts';

/** A service before the start. */
export interface Before {
  readonly definition: ServiceDefinition;
  readonly wasUp: boolean;
}

/** Services of a start as they were before it. Main thread. */
export class Rollback {
  readonly #registry: Registry;
  readonly #before = new Map<string, Before>();

  /** @param names services that the start may change */
  constructor(registry: Registry, names: readonly string[]) {
    this.#registry = registry;
    for (const { name, definition, isWantedUp: wasUp } of names.flatMap((known) => registry.get(known) ?? [])) {
      this.#before.set(name, { definition, wasUp });
    }
  }

  /** Services that {@link Rollback.run} may put back. */
  get before(): Before[] {
    return [...this.#before.values()];
  }

  /**
   * Stops all changed services, and starts those that ran before with their former definitions. New services stay known,
   * so that their logs can be read.
   *
   * @param outcomes outcomes of the start
   * @returns the outcomes after the rollback: no changed service runs as requested
   */
  async run(
    outcomes: readonly ServiceOutcome[],
    stop: (names: string[]) => Promise<unknown>,
    start: (definitions: ServiceDefinition[]) => Promise<readonly ServiceOutcome[]>,
  ): Promise<ServiceOutcome[]> {
    const failures = outcomes.filter(({ outcome }) => outcome === 'failed').map(({ service }) => service.name);
    const changed = outcomes.filter(({ outcome }) => outcome !== 'unchanged').map(({ service }) => service.name);
    await stop(changed.filter((name) => this.#registry.get(name)));
    const due: ServiceDefinition[] = [];
    for (const name of changed) {
      const before = this.#before.get(name);
      const now = this.#registry.get(name);
      if (!before || !now) continue;
      if (before.wasUp) due.push(before.definition);
      else if (now.definition !== before.definition) this.#registry.install(before.definition, now.state);
    }
    const broken = (await start(due)).filter(({ outcome }) => outcome === 'failed');
    return outcomes.map((outcome) => this.#revise(outcome, failures, broken));
  }

  #revise(before: ServiceOutcome, failures: readonly string[], broken: readonly ServiceOutcome[]): ServiceOutcome {
    const { name } = before.service;
    const supervisor = this.#registry.get(name);
    if (!supervisor || before.outcome === 'unchanged') return before;
    const again = broken.find(({ service }) => service.name === name);
    if (again) return failed(supervisor, `put back, but it does not start as it was: ${again.error}`, again.last_lines);
    if (before.outcome === 'failed') return { ...before, service: supervisor.status() };
    return failed(supervisor, `put back, because ${failures.join(', ')} failed`);
  }
}
