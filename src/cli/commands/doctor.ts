/** `monocore doctor`. */
import { type Check, type DoctorReport, runDoctor } from '../../doctor/doctor.ts';
import { toPrintableJson } from '../../lib/control-characters.ts';
import { DaemonClient } from '../client.ts';
import type { CliContext } from '../connection.ts';
import { askStatus } from '../daemon/process.ts';
import { EXIT } from '../exit-codes.ts';
import { type Colors, padderOf, type TextOptions, textOptionsFor, wrap } from '../render/terminal-text.ts';

const STATE_WIDTH = 'warning'.length;

export async function doctor(context: CliContext, options: { readonly json?: boolean }): Promise<number> {
  // A daemon under a service manager has other cgroups and limits than this shell.
  const daemon = await askStatus(new DaemonClient(context.paths.socket)).catch(() => null);
  const report = await runDoctor(context.paths.home, daemon?.limits);
  context.stdout.write(
    options.json ? `${toPrintableJson(report)}\n` : renderDoctor(report, textOptionsFor(context.stdout)),
  );
  return report.ok ? EXIT.done : EXIT.failed;
}

/** A line per check with its advice below, then the verdict. Ends in a newline. */
export function renderDoctor(report: DoctorReport, { colors, columns }: TextOptions): string {
  const pad = padderOf(report.checks.map(({ name }) => name));
  const paint: Record<Check['state'], Colors['green']> = {
    ok: colors.green,
    warning: colors.yellow,
    failed: colors.red,
  };
  const lines = report.checks.flatMap(({ name, state, finding, advice }) => {
    const head = `${paint[state](state.padEnd(STATE_WIDTH))}  ${pad(name)}  `;
    const indent = ' '.repeat(STATE_WIDTH + pad('').length + 4);
    const [first = '', ...more] = [finding, advice ?? ''].flatMap((text) => wrap(text, columns, indent));
    return [head + first.slice(indent.length), ...more];
  });
  lines.push('', report.ok ? 'This host can run microVMs.' : colors.red('This host cannot run microVMs yet.'));
  return `${lines.join('\n')}\n`;
}
