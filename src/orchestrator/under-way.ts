/** Starts that are not over: what they need must go to no other command meanwhile. */
import type { ServiceDefinition } from '../supervisor/status.ts';
import type { PortHolder } from './port-claims.ts';
import type { Before } from './rollback.ts';

interface StartUnderWay {
  readonly definitions: readonly ServiceDefinition[];
  readonly before: readonly Before[];
}

/** All of them. Main thread. */
export class UnderWay {
  readonly #starts = new Set<StartUnderWay>();

  /**
   * @param before what the start may have to put back
   * @returns to be called when the start is over
   */
  add(definitions: readonly ServiceDefinition[], before: readonly Before[] = []): () => void {
    const start = { definitions, before };
    this.#starts.add(start);
    return () => this.#starts.delete(start);
  }

  /** What has places: as it is to be, and as it may be again. */
  definitions(): ServiceDefinition[] {
    return [...this.#starts].flatMap(({ definitions, before }) => [
      ...definitions,
      ...before.map(({ definition }) => definition),
    ]);
  }

  /** What has ports. */
  holders(): PortHolder[] {
    return [...this.#starts].flatMap(({ definitions, before }) => [
      ...before.filter(({ wasUp }) => wasUp).map(({ definition }) => ({ definition, because: 'may be put back' })),
      ...definitions.map((definition) => ({ definition, because: 'is being started' })),
    ]);
  }
}
