/** Runs a load: starts services under a daemon of their own, waits until they have printed everything, stops them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DaemonClient } from '../../src/cli/client.ts';
import { ownProgram } from '../../src/cli/daemon/process.ts';
import { HomePaths, resolveHome } from '../../src/state/paths.ts';
import { findMentions, findServiceProcesses } from '../chaos/processes.ts';
import { comesTrue } from '../chaos/waiting.ts';
import { readCommandLine } from '../helpers/processes/command-lines.ts';
import { countLines, firstRecordMs } from './log-check.ts';
import type { LoadOptions } from './options.ts';
import { percentile } from './percentile.ts';
import { cpuSeconds, type LoopDelay, residentMib, WatchedProgram } from './processes.ts';
import { loadConfig, serviceNames } from './workload.ts';

const READY_TIMEOUT_MS = 30_000;
/** For a guest on a busy host that prints more slowly than it should. */
const PRINT_GRACE_MS = 300_000;
const PRINT_POLL_MS = 500;
/** Time for an idle daemon to settle after the start. */
const SETTLE_MS = 2000;

/** Measured figures. */
export interface LoadFigures {
  readonly services: number;
  readonly failed: readonly string[];
  /** From the command to the answer that all are started. */
  readonly startSeconds: number;
  /** From the command to the first line of the last one in its file. */
  readonly firstLinesSeconds: number;
  /** From the launch of a service to its first line in its file. */
  readonly firstLineMs: { readonly p50: number; readonly p99: number };
  readonly printedLines: number;
  readonly writtenLines: number;
  readonly misplacedLines: number;
  /** Of the daemon's main thread, over the whole run. */
  readonly mainDelayMs: LoopDelay;
  /** Of a process that does nothing, at the same time. */
  readonly idleDelayMs: LoopDelay;
  /** While services print, per cent of one core. */
  readonly daemonCpuPercent: number;
  /** CPU time of the daemon per start. */
  readonly daemonCpuMsPerStart: number;
  readonly daemonMib: { readonly before: number; readonly after: number; readonly perService: number };
  readonly stopSeconds: number;
  /** Processes and files that should not be there any more. */
  readonly leftovers: readonly string[];
}

/** Results that comparisons need. */
export interface LoadRun {
  readonly figures: LoadFigures;
  /** Commands of the processes as they were, by service. */
  readonly commands: ReadonlyMap<string, ServiceCommand>;
}

/** Command of the process of a service. */
export interface ServiceCommand {
  readonly args: readonly string[];
  /** Words of the specification of a VM's jail, see `src/vm/qemu/jail/jail.c`; none for a plain process. */
  readonly jail: readonly string[];
}

/** Number of VMs that boot at a time, as in the daemon. */
export const CONCURRENT_BOOTS = availableParallelism();

/** Runs one load in a home below `dir`, which stays: peers use its kernel. Throws when the daemon does not answer. */
export async function runLoad(dir: string, services: number, options: LoadOptions): Promise<LoadRun> {
  const home = join(dir, `home-${services}`);
  mkdirSync(home, { recursive: true });
  const kernels = join(resolveHome(undefined), 'kernel');
  if (existsSync(kernels)) symlinkSync(kernels, join(home, 'kernel'));
  const paths = new HomePaths(home);
  const client = new DaemonClient(paths.socket);
  // With the options of every daemon; the last one is the program.
  const daemon = new WatchedProgram('daemon.js', [home], ownProgram().args.slice(-2, -1));
  const bystander = new WatchedProgram('bystander.js');
  try {
    if (!(await comesTrue(READY_TIMEOUT_MS, async () => (await client.daemon()).pid === daemon.pid))) {
      throw new Error('the daemon does not answer');
    }
    return await measure({ paths, client, daemon, bystander, services, options });
  } finally {
    await bystander.end();
    await daemon.end();
  }
}

interface Stage {
  readonly paths: HomePaths;
  readonly client: DaemonClient;
  readonly daemon: WatchedProgram;
  readonly bystander: WatchedProgram;
  readonly services: number;
  readonly options: LoadOptions;
}

async function measure({ paths, client, daemon, bystander, services, options }: Stage): Promise<LoadRun> {
  const names = serviceNames(services);
  // What all VMs share is made and found once, at the first start ever; so it is here.
  await client.start({ config: loadConfig(1, { ...options, lines: 1, seconds: 1 }) });
  await client.remove({ all: true, timeout_ms: null });
  await delay(SETTLE_MS);

  const before = { mib: residentMib(daemon.pid), cpu: cpuSeconds(daemon.pid) };
  await Promise.all([daemon.delay('reset'), bystander.delay('reset')]);
  // Made before, as that of the peers is.
  const config = loadConfig(services, options);
  const beganAtMs = Date.now();
  const { services: outcomes } = await client.start({ config });
  const startSeconds = (Date.now() - beganAtMs) / 1000;
  const startCpu = cpuSeconds(daemon.pid) - before.cpu;
  const failed = outcomes
    .filter(({ outcome }) => outcome === 'failed')
    .map(({ service, error }) => `${service.name}: ${error}`);
  const commands = readCommands(paths);

  const printing = { atMs: performance.now(), cpu: cpuSeconds(daemon.pid) };
  const running = names.filter((name) => !failed.some((text) => text.startsWith(`${name}:`)));
  await waitForLines(paths.logDir, running, options);
  const printedForMs = performance.now() - printing.atMs;
  const printCpu = cpuSeconds(daemon.pid) - printing.cpu;
  const after = residentMib(daemon.pid);
  const launched = running.map((name) => launchedAtMs(paths, name));
  const first = running.map((name) => firstRecordMs(paths.logDir, name) ?? Number.NaN);

  const stopAtMs = performance.now();
  await client.stop({ all: true, timeout_ms: null });
  const stopSeconds = (performance.now() - stopAtMs) / 1000;
  const [mainDelayMs, idleDelayMs] = await Promise.all([daemon.delay('report'), bystander.delay('report')]);
  const leftovers = findLeftovers(paths, [daemon.pid]);
  const counts = running.map((name) => countLines(paths.logDir, name));

  const latencies = first.map((ms, index) => ms - launched[index]!);
  const figures: LoadFigures = {
    services,
    failed,
    startSeconds,
    firstLinesSeconds: (Math.max(...first) - beganAtMs) / 1000,
    firstLineMs: { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) },
    printedLines: running.length * options.lines,
    writtenLines: counts.reduce((sum, { written }) => sum + written, 0),
    misplacedLines: counts.reduce((sum, { misplaced }) => sum + misplaced, 0),
    mainDelayMs,
    idleDelayMs,
    daemonCpuPercent: (printCpu / (printedForMs / 1000)) * 100,
    daemonCpuMsPerStart: (startCpu / services) * 1000,
    daemonMib: { before: before.mib, after, perService: (after - before.mib) / services },
    stopSeconds,
    leftovers,
  };
  return { figures, commands };
}

/** Until each service has printed as much as it should, or takes far too long for that. */
async function waitForLines(logDir: string, names: readonly string[], { lines, seconds }: LoadOptions): Promise<void> {
  const endAtMs = performance.now() + seconds * 1000 + PRINT_GRACE_MS;
  const waiting = new Set(names);
  while (waiting.size > 0 && performance.now() < endAtMs) {
    await delay(PRINT_POLL_MS);
    for (const name of waiting) {
      if (firstRecordMs(logDir, name) === null || countLines(logDir, name).written < lines) break;
      waiting.delete(name);
    }
  }
}

function launchedAtMs(paths: HomePaths, name: string): number {
  const document = JSON.parse(readFileSync(paths.stateFile(name), 'utf8')) as { launched_at: string };
  return Date.parse(document.launched_at);
}

function readCommands(paths: HomePaths): Map<string, ServiceCommand> {
  const found = new Map<string, ServiceCommand>();
  const words = (text: string) => text.split('\0').slice(0, -1);
  for (const [service, [pid]] of findServiceProcesses(paths.runDir)) {
    if (pid === undefined) continue;
    const { jail } = paths.vm(service);
    found.set(service, {
      args: words(readCommandLine(pid)),
      jail: existsSync(jail) ? words(readFileSync(jail, 'utf8')) : [],
    });
  }
  return found;
}

function findLeftovers(paths: HomePaths, known: readonly number[]): string[] {
  const processes = findMentions(paths.home).filter(({ pid }) => !known.includes(pid));
  const files = readdirSync(paths.runDir).map((name) => join(paths.runDir, name));
  return [...processes.map(({ commandLine }) => commandLine.slice(0, 200)), ...files];
}
