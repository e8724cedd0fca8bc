/** Progress of a command that changes services. */
import type { ServiceOutcome } from '../../protocol/api.ts';
import type { ServiceStatus } from '../../protocol/service.ts';
import { outcomeText, progressText, type Verb } from '../render/status-text.ts';

/** A view of a running command. */
export interface Progress {
  /** A service that the command is about has changed. */
  update(service: ServiceStatus): void;
  /** The command is done with a service. */
  finish(outcome: ServiceOutcome): void;
  /** The command has ended; services without outcome are left as they are. */
  close(): Promise<void>;
}

/** Writes `web: Starting (booting)` for each change; never the same line of a service twice in a row. */
export function createPlainProgress(verb: Verb, write: (text: string) => void): Progress {
  const lastTexts = new Map<string, string>();

  function say(name: string, text: string): void {
    if (lastTexts.get(name) === text) return;
    lastTexts.set(name, text);
    write(`${name}: ${text}\n`);
  }

  return {
    update: (service) => say(service.name, progressText(service)),
    finish(outcome) {
      const text = outcomeText(verb, outcome);
      // Said already, at the change itself.
      if (outcome.outcome === 'failed' && lastTexts.get(outcome.service.name)?.startsWith(text)) return;
      say(outcome.service.name, text);
    },
    close: async () => {},
  };
}
