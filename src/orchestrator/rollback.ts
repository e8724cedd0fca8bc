/** Undoes a start of several services of which one failed. */

import type { ServiceOutcome } from '../protocol/api.ts';
import type { ServiceDefinition } from '../supervisor/status.ts';
import { failed } from './outcomes.ts';
import type { Registry } from './registry.ts';
import { isWantedUp } from './start-scheduler.ts';

/** How a service was before. */
export interface Before {
  readonly definition: ServiceDefinition;
  readonly wasUp: boolean;
}

/** The services of a start as they were before it. Main thread. */
export class Rollback {
  readonly #registry: Registry;
  readonly #before = new Map<string, Before | null>();

  /** @param names of all that the start may change */
  constructor(registry: Registry, names: Iterable<string>) {
    this.#registry = registry;
    for (const name of names) {
      const supervisor = registry.get(name);
      this.#before.set(name, supervisor ? { definition: supervisor.definition, wasUp: isWantedUp(supervisor) } : null);
    }
  }

  /** What {@link Rollback.run} may put back. */
  get before(): Before[] {
    return [...this.#before.values()].filter((before) => before !== null);
  }

  /**
   * Stops what was changed, and starts what ran before as it ran. What is new stays known, so that its logs can be read.
   *
   * @param outcomes of the start
   * @param stop stops services by their names
   * @param start starts services
   * @returns the outcomes as they are now: nothing that was changed is up as it was asked for
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
    return outcomes.map((one) => this.#judge(one, failures, broken));
  }

  #judge(one: ServiceOutcome, failures: readonly string[], broken: readonly ServiceOutcome[]): ServiceOutcome {
    const { name } = one.service;
    const supervisor = this.#registry.get(name);
    if (!supervisor || one.outcome === 'unchanged') return one;
    const again = broken.find(({ service }) => service.name === name);
    if (again) return failed(supervisor, `put back, but it does not start as it was: ${again.error}`, again.last_lines);
    if (one.outcome === 'failed') return { ...one, service: supervisor.status() };
    return failed(supervisor, `put back, because ${failures.join(', ')} failed`);
  }
}
