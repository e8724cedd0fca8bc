/** The library's parts on a home of their own, for tests that need no command line. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Runtime, type RuntimeOptions } from '../../src/daemon/daemon.ts';
import { Orchestrator } from '../../src/orchestrator/orchestrator.ts';
import type { ServiceStatus } from '../../src/protocol/service.ts';
import { eventually } from './eventually.ts';
import { shareKernel } from './home.ts';
import { TEMP_PREFIX } from './temp.ts';

/** A runtime and an orchestrator on it. */
export interface TestRuntime {
  readonly home: string;
  readonly runtime: Runtime;
  readonly orchestrator: Orchestrator;
  /** Messages that the parts reported. */
  readonly reports: string[];
  /** Waits until the service runs no more. */
  ended(name: string): Promise<ServiceStatus>;
  /** Lines of a service's current log file, without their prefix. */
  lines(service: string, stream: 'stdout' | 'stderr' | 'console'): string[];
  /** Stops everything and removes the home. */
  close(): Promise<void>;
}

/** Makes a home with a kernel for its guests. */
export function makeRuntimeHome(): string {
  const home = mkdtempSync(join(tmpdir(), TEMP_PREFIX));
  shareKernel(home);
  return home;
}

/** Opens a runtime, on a new home unless told. @param options of the runtime besides */
export async function openTestRuntime(
  home: string = makeRuntimeHome(),
  options: Pick<RuntimeOptions, 'backends'> = {},
): Promise<TestRuntime> {
  const reports: string[] = [];
  const runtime = await Runtime.open({ ...options, home, report: (_level, message) => reports.push(message) });
  const orchestrator = await Orchestrator.open(runtime);
  return {
    home,
    runtime,
    orchestrator,
    reports,
    ended: (name) =>
      eventually(`${name} to end`, () => {
        const service = orchestrator.services().find((candidate) => candidate.name === name);
        return (service?.status === 'Stopped' || service?.status === 'Failed') && service;
      }),
    lines(service, stream) {
      const text = readFileSync(join(home, 'log', `${service}.${stream}.log`), 'utf8');
      const records = text.split('\n').slice(0, -1);
      return records.map((record) => record.replace(/^\S+ \w+ \[[^\]]*\] /, ''));
    },
    async close() {
      await orchestrator.stop();
      await runtime.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
