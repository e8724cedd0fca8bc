/** `monocore doctor`. */
import { type Check, type DoctorReport, runDoctor } from '../../doctor/doctor.ts';
import type { CliContext } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { type Colors, padderOf } from '../render/terminal-text.ts';

const STATE_WIDTH = 'warning'.length;

export async function doctor(context: CliContext, options: { readonly json?: boolean }): Promise<number> {
  const report = await runDoctor({ home: context.paths.home });
  context.stdout.write(options.json ? `${JSON.stringify(report)}\n` : renderDoctor(report, context.colors));
  return report.ok ? EXIT.done : EXIT.failed;
}

/** A line for each check with its advice below, then the verdict. Ends in a newline. */
export function renderDoctor(report: DoctorReport, colors: Colors): string {
  const pad = padderOf(report.checks.map(({ name }) => name));
  const paint: Record<Check['state'], Colors['green']> = {
    ok: colors.green,
    warning: colors.yellow,
    failed: colors.red,
  };
  const lines = report.checks.flatMap(({ name, state, finding, advice }) => {
    const line = `${paint[state](state.padEnd(STATE_WIDTH))}  ${pad(name)}  ${finding}`;
    const indent = ' '.repeat(STATE_WIDTH + pad('').length + 4);
    return advice === null ? [line] : [line, ...advice.split('\n').map((part) => `${indent}${part}`)];
  });
  lines.push('', report.ok ? 'This host can run microVMs.' : colors.red('This host cannot run microVMs yet.'));
  return `${lines.join('\n')}\n`;
}
