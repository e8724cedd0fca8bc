/**
 * Starts many services at once, lets them print, stops them, and says what that cost: `npm run load`. With `--peers` the
 * same is started without monocore in the same run: only ratios of one run mean anything.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorText } from '../../src/lib/errors.ts';
import { HomePaths, resolveHome } from '../../src/state/paths.ts';
import { findKernel } from '../../src/vm/guest/kernel.ts';
import { findQemu, findStaticBusybox, hostArchitecture } from '../../src/vm/host/host-tools.ts';
import { readLoadOptions } from './options.ts';
import { renderPlot } from './plot.ts';
import { runPm2, runSpawnLoop } from './process-peers.ts';
import { runQemuLoop } from './qemu-loop.ts';
import { complaints, type LoadResult, PM2, QEMU_LOOP, renderReport, SPAWN_LOOP } from './report.ts';
import { type LoadRun, runLoad } from './run.ts';
import { loadConfig } from './workload.ts';

const { json, plot, ...options } = readLoadOptions(process.argv.slice(2));
if (options.isolation === 'vm') checkHost();
const dir = mkdtempSync(join(options.dir, 'monocore-load-'));
process.once('exit', () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));

const results: LoadResult[] = [];
for (const services of options.services) {
  say(`${services} services`);
  const run = await runLoad(dir, services, options);
  results.push({ figures: run.figures, peers: options.peers ? await measurePeers(services, run) : {} });
}
say('');
if (plot !== null) writeFileSync(plot, renderPlot(results, `isolation "${options.isolation}"`));
console.log(json ? JSON.stringify({ options, results }, null, 2) : renderReport(results));
process.exitCode = results.some((result) => complaints(result).length > 0) ? 1 : 0;

/** Ends at once, with the words of `monocore doctor`, where no VM can boot. */
function checkHost(): void {
  try {
    const architecture = hostArchitecture();
    findQemu(architecture);
    findStaticBusybox();
    findKernel(null, new HomePaths(resolveHome(undefined)).kernelDir, architecture);
  } catch (error) {
    console.error(`load: ${errorText(error)}`);
    process.exit(1);
  }
}

async function measurePeers(services: number, { commands }: LoadRun): Promise<LoadResult['peers']> {
  const peerDir = join(dir, `peers-${services}`);
  if (options.isolation === 'vm') {
    say(`${services} services: ${QEMU_LOOP}`);
    return { [QEMU_LOOP]: await runQemuLoop(peerDir, commands, options) };
  }
  const config = loadConfig(services, options);
  say(`${services} services: ${SPAWN_LOOP}`);
  const spawned = await runSpawnLoop(peerDir, config.services);
  say(`${services} services: ${PM2}`);
  return { [SPAWN_LOOP]: spawned, [PM2]: await runPm2(peerDir, config.services) };
}

function say(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`);
}
