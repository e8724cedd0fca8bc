/** Services that are started and stopped again and again leave nothing behind. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { listDescriptors } from '../../../src/lib/proc.ts';
import type { Isolation } from '../../../src/protocol/isolation.ts';
import type { Config } from '../../../src/protocol/service.ts';
import { eventually } from '../../helpers/eventually.ts';
import { configOf, scriptService } from '../../helpers/fakes/services.ts';
import { listChildren } from '../../helpers/processes/usage.ts';
import { openTestRuntime, type TestRuntime } from '../../helpers/runtime.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Growth of the collected heap that is no leak: a few caches and compiled code. The host's load does not change it. */
const MAX_GROWTH_BYTES = 2 * 2 ** 20;

/** Counts the resources of this process: threads, children, and descriptors by kind. */
function holdings(): Record<string, number> {
  const counts: Record<string, number> = { children: countChildren() };
  for (const { target } of listDescriptors('self')) {
    const kind = target.replace(/:\[\d+\]$/, '');
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

/** Describes the resources that grew; empty if none did. */
function keptSince(before: Readonly<Record<string, number>>): string {
  const more = Object.entries(holdings()).filter(([kind, count]) => count > (before[kind] ?? 0));
  return more.map(([kind, count]) => `${kind} ${before[kind] ?? 0} -> ${count}`).join(', ');
}

/** The spawner, and the processes that it started. */
function countChildren(): number {
  const own = listChildren(process.pid);
  return own.length + own.flatMap(listChildren).length;
}

function configOfCycle(isolation: Isolation, services: number): Config {
  return configOf(
    Array.from({ length: services }, (_, index) =>
      scriptService(`cycled-${index}`, 'echo begun; exec sleep 1000', { isolation }),
    ),
  );
}

/** Starts and stops that many services at once, so many times. */
async function cycle(host: TestRuntime, isolation: Isolation, services: number, times: number): Promise<void> {
  const config = configOfCycle(isolation, services);
  for (let time = 0; time < times; time += 1) {
    const started = await host.orchestrator.start(config);
    assert.deepEqual(started.services.map(({ error }) => error).filter(Boolean), []);
    const stopped = await host.orchestrator.stop();
    assert.deepEqual(stopped.services.map(({ service }) => service.error).filter(Boolean), []);
  }
}

function heapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

/** Runs a service until it has been sampled: with its first sample the metrics thread opens what it keeps. */
async function sampleOnce({ orchestrator }: TestRuntime, isolation: Isolation): Promise<void> {
  await orchestrator.start(configOfCycle(isolation, 1));
  await eventually('a sample', () => orchestrator.services().some(({ metrics }) => metrics.memory_usage !== null));
  await orchestrator.stop();
}

/** A warm-up, then the cycles that count: nothing of them may stay. */
async function checkCycles(isolation: Isolation, services: number, warmUp: number, times: number): Promise<void> {
  const host = await openTestRuntime();
  try {
    await sampleOnce(host, isolation);
    await cycle(host, isolation, services, warmUp);
    const before = { holdings: holdings(), heapBytes: heapBytes() };
    await cycle(host, isolation, services, times);
    // Threads of the pool end when they have been idle for a while, files of followers when they are collected.
    const kept = () => keptSince(before.holdings);
    await eventually('everything to be given back', () => kept() === '').catch((error: Error) => {
      throw new Error(`${error.message}; kept, before and now: ${kept() || 'nothing any more'}`);
    });
    const grownBytes = heapBytes() - before.heapBytes;
    assert.ok(grownBytes < MAX_GROWTH_BYTES, `the heap grew by ${grownBytes} bytes in ${services * times} cycles`);
    assert.deepEqual(readdirSync(join(host.home, 'run')), []);
  } finally {
    await host.close();
  }
}

test('1,000 cycles of plain processes leave no process, descriptor or file behind, and memory flat', () =>
  checkCycles('none', 10, 20, 100));

test('20 cycles of microVMs leave nothing behind either', () => checkCycles('vm', 2, 1, 10));
