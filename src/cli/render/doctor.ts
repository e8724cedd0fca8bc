/** The report of `monocore doctor`. */
import type { Check, DoctorReport } from '../../doctor/report.ts';
import type { Colors } from './terminal-text.ts';

const STATE_WIDTH = 'warning'.length;

/** One line per check, beneath it the advice, and at last a sentence. Ends in a newline. */
export function renderDoctor(report: DoctorReport, colors: Colors): string {
  const nameWidth = Math.max(0, ...report.checks.map(({ name }) => name.length));
  const paint: Record<Check['state'], Colors['green']> = {
    ok: colors.green,
    warning: colors.yellow,
    failed: colors.red,
  };
  const lines = report.checks.flatMap(({ name, state, finding, advice }) => {
    const line = `${paint[state](state.padEnd(STATE_WIDTH))}  ${name.padEnd(nameWidth)}  ${finding}`;
    const indent = ' '.repeat(STATE_WIDTH + nameWidth + 4);
    return advice === null ? [line] : [line, ...advice.split('\n').map((part) => `${indent}${part}`)];
  });
  lines.push('', report.ok ? 'This host can run microVMs.' : colors.red('This host cannot run microVMs yet.'));
  return `${lines.join('\n')}\n`;
}
