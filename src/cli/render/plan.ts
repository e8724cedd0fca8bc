/** Plan of a start, for `--dry-run`. */
import { maskControls } from '../../lib/control-characters.ts';
import type { PlannedAction } from '../../protocol/api.ts';
import type { Colors } from './terminal-text.ts';

/** A line for each action: `restart  web  cpus changed from 1 to 2`. Ends in a newline; empty for no actions. */
export function renderPlan(actions: readonly PlannedAction[], colors: Colors): string {
  const paint: Record<PlannedAction['action'], Colors['green']> = {
    create: colors.green,
    start: colors.green,
    restart: colors.yellow,
    keep: colors.dim,
    stop: colors.red,
  };
  const verbWidth = Math.max(0, ...actions.map(({ action }) => action.length));
  const nameWidth = Math.max(0, ...actions.map(({ name }) => name.length));
  return actions
    .map(({ name, action, reason }) => {
      const verb = paint[action](action.padEnd(verbWidth));
      return `${verb}  ${reason === null ? name : `${name.padEnd(nameWidth)}  ${maskControls(reason)}`}\n`;
    })
    .join('');
}
