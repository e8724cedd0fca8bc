/** What became of each service in a command. */

import { maskControls } from '../../lib/control-characters.ts';
import type { ServiceOutcome } from '../../protocol/api.ts';
import type { Colors } from '../terminal.ts';
import { progressText } from './status-text.ts';

/** The commands that change services. */
export type Verb = 'start' | 'stop' | 'restart' | 'remove';

const PARTICIPLES: Record<Verb, string> = {
  start: 'started',
  stop: 'stopped',
  restart: 'restarted',
  remove: 'removed',
};

/** The last word on a service: `Started`, `Stopped (0)`, `Removed`, `Started (nothing to do)`, `Failed`. */
export function outcomeText(verb: Verb, { outcome, service }: ServiceOutcome): string {
  if (outcome === 'failed') return 'Failed';
  if (verb === 'remove' && outcome === 'changed') return 'Removed';
  const text = progressText(service);
  return outcome === 'unchanged' ? `${text} (nothing to do)` : text;
}

/** For each service that failed its error, then indented what it printed last. Empty when none failed. */
export function renderFailures(verb: Verb, outcomes: readonly ServiceOutcome[], colors: Colors): string {
  return outcomes
    .filter(({ outcome }) => outcome === 'failed')
    .map(({ service, error, last_lines }) => {
      const what = maskControls(`${service.name} could not be ${PARTICIPLES[verb]}: ${error}`);
      const lines = [`${colors.red('monocore:')} ${what}`];
      if (last_lines.length > 0) {
        lines.push('  it printed last:', ...last_lines.map((line) => `    ${maskControls(line)}`));
      }
      return `${lines.join('\n')}\n`;
    })
    .join('');
}
