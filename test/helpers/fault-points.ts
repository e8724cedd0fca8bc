/** The daemon dies between every two steps of a start and of a stop; the next one must make the best of it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { isAlive, readStat } from '../../src/lib/proc.ts';
import { eventually } from './eventually.ts';
import { ALIVE, ASKED_EXIT_CODE, doomedConfig } from './fakes/doomed-service.ts';
import { FAKE_BACKENDS } from './fakes/fake-machine/backend.ts';
import { findProcesses } from './processes/command-lines.ts';
import { TYPESCRIPT_OPTIONS } from './processes/typescript.ts';
import { makeRuntimeHome, openTestRuntime, type TestRuntime } from './runtime.ts';

const FIXTURE = fileURLToPath(new URL('../fixtures/dying-daemon.js', import.meta.url));
/** A daemon that dies and one that recovers, each with threads of its own, keep two cores busy. */
export const AT_ONCE = 2;

/** Kind of the service's machine; a fake one runs from the sources. */
type Machine = 'process' | 'vm' | 'fake';

const isolationOf = (machine: Machine) => (machine === 'process' ? 'none' : 'vm');

interface Life {
  readonly steps: readonly string[];
  /** Number of the first step of the stop. */
  readonly stopAt: number;
}

async function runDaemon(home: string, machine: Machine, dieAt: number): Promise<string> {
  const [loader, fake] = machine === 'fake' ? [TYPESCRIPT_OPTIONS, ['fake']] : [[], []];
  const args = [...loader, FIXTURE, home, JSON.stringify(doomedConfig(isolationOf(machine))), String(dieAt), ...fake];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return stdout;
}

/** A life from its beginning to its end. */
async function liveOn(machine: Machine): Promise<Life> {
  const home = makeRuntimeHome();
  try {
    return JSON.parse(await runDaemon(home, machine, -1)) as Life;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/**
 * Processes of the service: its shim or its jail leads a session and has a path below the home in its arguments, and so has
 * nobody else. The jail's own children have its arguments, too.
 */
function processesOf(home: string): number[] {
  return findProcesses(join(home, 'run/'))
    .map(({ pid }) => pid)
    .filter((pid) => isAlive(pid) && readStat(pid)?.session === pid);
}

/** Outcome under the next daemon: the service runs, has ended, or is unknown. */
async function settle(host: TestRuntime): Promise<string> {
  return eventually('the service to be up or down', () => {
    const [row] = host.orchestrator.services();
    return !row ? 'unknown' : row.status !== 'Starting' && row.status !== 'Stopping' && row.status;
  });
}

function printed(host: TestRuntime): string[] {
  return existsSync(join(host.home, 'log/doomed.stdout.log')) ? host.lines('doomed', 'stdout') : [];
}

/** Lets the daemon die before that step, and looks at what the next one does. */
async function dieAndRecover(machine: Machine, { steps, stopAt }: Life, dieAt: number): Promise<void> {
  const home = makeRuntimeHome();
  await assert.rejects(runDaemon(home, machine, dieAt), { signal: 'SIGKILL' });
  const host = await openTestRuntime(home, machine === 'fake' ? { backends: FAKE_BACKENDS } : {});
  try {
    const status = await settle(host);
    const [row] = host.orchestrator.services();
    const isUp = status === 'Started';
    assert.equal(processesOf(home).length, isUp ? 1 : 0, `processes of a service that is ${status}`);
    const wasToStop = dieAt > stopAt && steps.slice(stopAt, dieAt).includes('persist');
    if (wasToStop) assert.equal(status, 'Stopped');
    if (isUp) {
      await eventually('its first line', () => printed(host).length > 0);
      await host.orchestrator.stop();
    }
    if (isUp || wasToStop) {
      assert.equal(host.orchestrator.services()[0]!.exit_code, ASKED_EXIT_CODE);
      const told = printed(host).filter((line) => line !== ALIVE);
      // A line that was not in the file yet may have been in the chunk that the daemon took with it.
      const inFlight = dieAt < stopAt ? 'begun' : 'asked';
      const expected = ['begun', 'asked'].filter((line) => line !== inFlight || told.includes(line));
      assert.deepEqual(told, expected);
    } else if (row) {
      assert.deepEqual([row.status, row.reason, row.exit_code], ['Failed', 'lost', null]);
    }
    const before = printed(host).length;
    await host.orchestrator.start(doomedConfig(isolationOf(machine)));
    await eventually('the line of the next run', () => printed(host).length > before);
    await host.orchestrator.stop();
    const told = printed(host).slice(before);
    assert.deepEqual(
      told.filter((line) => line !== ALIVE),
      ['begun', 'asked'],
    );
    assert.equal(host.orchestrator.services()[0]!.exit_code, ASKED_EXIT_CODE);
    assert.deepEqual([processesOf(home), readdirSync(join(home, 'run'))], [[], []]);
  } finally {
    await host.close();
  }
}

/** Lets a daemon die at each step that is a point, each on a home of its own. */
export async function dieAtEach(t: TestContext, machine: Machine, isPoint: (step: string) => boolean): Promise<void> {
  const life = await liveOn(machine);
  const points = life.steps.flatMap((step, number) => (isPoint(step) ? [{ step, number }] : []));
  await Promise.all(
    points.map(({ step, number }) =>
      t.test(`before ${step}, step ${number}`, { timeout: 120_000 }, () => dieAndRecover(machine, life, number)),
    ),
  );
}
