/**
 * Cost of sampling processes: `npm run bench:metrics [processes] [samples]`, by default 100 and 100. The batches of
 * the metrics worker run one after the other in this process, and beside them one `ps` for each process, as monocore's
 * Rust supervisor has it. Per cent of a core are CPU time for a batch, children included, in 2 s.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import Table from 'cli-table3';
import { openProcFiles, readStat, TICKS_PER_SECOND } from '../../src/lib/proc.ts';
import { Sampler } from '../../workers/metrics/sampler.ts';
import { UsagePoller } from '../../workers/metrics/usage.ts';

const run = promisify(execFile);

const INTERVAL_MS = 2000;
const WARM_UP_BATCHES = 10;
/** A batch of `ps` takes long. */
const PS_BATCHES = 3;

const [processes = 100, samples = 100] = process.argv.slice(2).map(Number);
if (![processes, samples].every((count) => Number.isInteger(count) && count > 0)) {
  console.error('usage: npm run bench:metrics [processes] [samples]');
  process.exit(2);
}

const children = Array.from({ length: processes }, () => spawn('sleep', ['1000'], { stdio: 'ignore' }));
process.once('exit', () => {
  for (const child of children) child.kill();
});
await Promise.all(children.map((child) => once(child, 'spawn')));
const pids = children.map((child) => child.pid!);

const sampler = new Sampler(openProcFiles, new UsagePoller(3 * INTERVAL_MS));
pids.forEach((pid, index) => {
  sampler.watch(`service-${index}`, pid);
});
for (let batch = 0; batch < WARM_UP_BATCHES; batch += 1) await sampler.sample();
const ours = await measure(samples, async () => {
  const measured = Object.values(await sampler.sample());
  if (measured.length !== processes) throw new Error(`${measured.length} of ${processes} were sampled`);
});
const ps = await measure(PS_BATCHES, () =>
  Promise.all(pids.map((pid) => run('ps', ['-o', 'pcpu=,rss=', '-p', String(pid)]))),
);

const table = new Table({
  style: { head: [], border: [] },
  head: [`${processes} processes`, 'CPU ms a batch', '% of a core', 'against monocore'],
});
for (const [name, batchMs] of [['monocore', ours] as const, ['ps for each', ps] as const]) {
  table.push([name, batchMs.toFixed(2), ((100 * batchMs) / INTERVAL_MS).toFixed(2), `${(batchMs / ours).toFixed(1)}×`]);
}
console.log(table.toString());
process.exit();

/** CPU milliseconds of one batch, children that have ended included. */
async function measure(batches: number, sample: () => Promise<unknown>): Promise<number> {
  const before = cpuMs();
  for (let batch = 0; batch < batches; batch += 1) await sample();
  return (cpuMs() - before) / batches;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  const children = readStat('self')!.endedChildrenCpuTicks;
  return (user + system) / 1000 + (children * 1000) / TICKS_PER_SECOND;
}
