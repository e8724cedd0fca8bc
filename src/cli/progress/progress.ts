/** Progress of a command that changes services. */
import type { ServiceOutcome } from '../../protocol/api.ts';
import type { ServiceStatus } from '../../protocol/service.ts';
import { outcomeText, progressText, type Verb } from '../render/status-text.ts';

export interface Progress {
  update(service: ServiceStatus): void;
  finish(outcome: ServiceOutcome): void;
  /** Closes the view; services without an outcome are left as they are. */
  close(): Promise<void>;
}

/**
 * Progress for files, pipes and CI: one line per change, such as `web: booting`, never the same line twice in a row.
 */
export function createPlainProgress(verb: Verb, write: (text: string) => void): Progress {
  const lastTexts = new Map<string, string>();

  const say = (name: string, text: string): void => {
    if (lastTexts.get(name) !== text) write(`${name}: ${text}\n`);
    lastTexts.set(name, text);
  };
  return {
    update: (service) => say(service.name, progressText(service, Date.now())),
    finish: (outcome) => say(outcome.service.name, outcomeText(verb, outcome, Date.now())),
    close: async () => {},
  };
}
