/** `monocore doctor`. */
import { runDoctor } from '../../doctor/doctor.ts';
import type { CliContext } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { renderDoctor } from '../render/doctor.ts';

/** Checks whether this host can run VMs, without a daemon. Returns the exit code. */
export async function doctor(context: CliContext, options: { readonly json?: boolean }): Promise<number> {
  const report = await runDoctor({ home: context.paths.home });
  context.stdout.write(options.json ? `${JSON.stringify(report)}\n` : renderDoctor(report, context.colors));
  return report.ok ? EXIT.done : EXIT.failed;
}
