/**
 * Starts services, and does to them, to the daemon and to the host whatever may happen to them: `npm run chaos`. At the
 * end no line may be missing, no process or file left over, no exit code wrong. What is done is decided by the seed; how
 * the machine takes it is not.
 */
import { readChaosOptions } from './options.ts';
import { isClean, renderReport } from './report.ts';
import { runChaos } from './run.ts';
import { describeAction } from './schedule.ts';

const { json, ...options } = readChaosOptions(process.argv.slice(2));
const say = (text: string): void => {
  if (!json) console.log(text);
};

say(`seed ${options.seed}: ${options.services} services, ${options.vms} of them VMs, ${options.minutes} minutes`);
const report = await runChaos(options, {
  onPlan(plan) {
    for (const { atMs, action } of plan) say(`${(atMs / 1000).toFixed(1).padStart(7)} s ${describeAction(action)}`);
  },
  onAction(done, { action }) {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${done} ${describeAction(action).slice(0, 100)}`);
  },
});
if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K');
console.log(json ? JSON.stringify(report, null, 2) : renderReport(report));
process.exitCode = isClean(report) ? 0 : 1;
