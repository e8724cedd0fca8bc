/** The daemon dies between every two steps of a start and of a stop; the next one must make the best of it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findByArgument, isAlive } from '../../../src/lib/proc.ts';
import type { Isolation } from '../../../src/protocol/service.ts';
import { eventually } from '../../helpers/eventually.ts';
import { ALIVE, ASKED_EXIT_CODE, doomedConfig } from '../../helpers/fakes/doomed-service.ts';
import { makeRuntimeHome, openTestRuntime, type TestRuntime } from '../../helpers/runtime.ts';

const FIXTURE = fileURLToPath(new URL('../../fixtures/dying-daemon.js', import.meta.url));
/** A daemon that dies and one that recovers, each with threads of its own, keep two cores busy. */
const AT_ONCE = 2;

interface Life {
  readonly steps: readonly string[];
  /** Number of the first step of the stop. */
  readonly stopAt: number;
}

async function runDaemon(home: string, isolation: Isolation, dieAt: number): Promise<string> {
  const args = [FIXTURE, home, JSON.stringify(doomedConfig(isolation)), String(dieAt)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return stdout;
}

/** A life from its beginning to its end. */
async function liveOn(isolation: Isolation): Promise<Life> {
  const home = makeRuntimeHome();
  try {
    return JSON.parse(await runDaemon(home, isolation, -1)) as Life;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** Processes of the service: its shim or its VM has a path below the home in its arguments, and so has nobody else. */
function processesOf(home: string): number[] {
  return findByArgument(join(home, 'run/'))
    .map(({ pid }) => pid)
    .filter(isAlive);
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
async function dieAndRecover(isolation: Isolation, { steps, stopAt }: Life, dieAt: number): Promise<void> {
  const home = makeRuntimeHome();
  await assert.rejects(runDaemon(home, isolation, dieAt), { signal: 'SIGKILL' });
  const host = await openTestRuntime(home);
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
      // Until it was in the file its first line may have been in the chunk that the daemon took with it.
      const isInFlight = dieAt < stopAt && told[0] !== 'begun';
      assert.deepEqual(told, isInFlight ? ['asked'] : ['begun', 'asked']);
    } else if (row) {
      assert.deepEqual([row.status, row.reason, row.exit_code], ['Failed', 'lost', null]);
    }
    const before = printed(host).length;
    await host.orchestrator.start(doomedConfig(isolation));
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

async function dieAtEach(t: TestContext, isolation: Isolation, isPoint: (step: string) => boolean): Promise<void> {
  const life = await liveOn(isolation);
  const points = life.steps.flatMap((step, number) => (isPoint(step) ? [{ step, number }] : []));
  await Promise.all(
    points.map(({ step, number }) =>
      t.test(`before ${step}, step ${number}`, { timeout: 120_000 }, () => dieAndRecover(isolation, life, number)),
    ),
  );
}

test('a daemon that dies at any step of a process is recovered from', { concurrency: AT_ONCE }, (t) =>
  dieAtEach(t, 'none', () => true),
);

/** Where it differs for a VM: the launch that nobody noted, the boot that nobody watched, the drain, the power-off. */
const VM_STEPS = new Set(['spawned', 'watch-metrics', 'drain', 'release']);

test('a daemon that dies at the steps of a VM is recovered from', { concurrency: AT_ONCE }, (t) =>
  dieAtEach(t, 'vm', (step) => VM_STEPS.has(step)),
);
