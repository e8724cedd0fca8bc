/** Progress for files, pipes and CI: one line per change. */
import { outcomeText, type Verb } from '../render/outcome.ts';
import { progressText } from '../render/status-text.ts';
import type { Progress } from './progress.ts';

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
