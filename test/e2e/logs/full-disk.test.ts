/** A full disk is told once, in the log and in the status, and costs no line. */
import assert from 'node:assert/strict';
import { rmdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { mountSmallDisk } from '../../helpers/disks/small-disk.ts';
import { eventually } from '../../helpers/eventually.ts';
import { configOf, scriptService } from '../../helpers/fakes/services.ts';
import { openTestRuntime, type TestRuntime } from '../../helpers/runtime.ts';
import { defer } from '../../helpers/temp.ts';

const NAMES = ['web', 'db', 'queue'] as const;
const LINES = 20_000;
const EXPECTED = Array.from({ length: LINES }, (_, index) => String(index + 1));

it('says once that the disk of many streams is full, and in the status until it is not', {
  timeout: 60_000,
}, async (t) => {
  const disk = await mountSmallDisk(t, 'size=16m');
  const filler = join(disk, 'filler');
  writeFileSync(filler, Buffer.alloc(15 * 2 ** 20));
  const host = await openTestRuntime();
  let isClosed = false;
  const close = async () => {
    if (!isClosed) await host.close();
    isClosed = true;
  };
  defer(t, close);
  rmdirSync(join(host.home, 'log'));
  symlinkSync(disk, join(host.home, 'log'));

  const script = `seq 1 ${LINES}; seq 1 ${LINES} >&2`;
  const services = NAMES.map((name) => scriptService(name, script, { isolation: 'none' }));
  await host.orchestrator.start(configOf(services));
  const stalled = () => host.orchestrator.services().filter(({ log_stalled }) => log_stalled !== null);
  await eventually('all services to wait', () => stalled().length === NAMES.length);
  for (const { log_stalled } of stalled()) assert.match(log_stalled!, /^std(out|err): .*ENOSPC/);

  rmSync(filler);
  for (const name of NAMES) {
    const { status, log_stalled } = await host.ended(name);
    assert.deepEqual([status, log_stalled], ['Stopped', null]);
    for (const stream of ['stdout', 'stderr'] as const) assert.deepEqual(host.lines(name, stream), EXPECTED);
  }
  await close();
  const said = host.reports.filter((report) => report.includes('written'));
  assert.equal(said.length, 2, said.join('\n'));
  assert.match(said[0]!, /^\w+: its \w+ cannot be written: no space left on device \(ENOSPC\); others may be affected/);
  for (const name of NAMES) assert.match(said[1]!, new RegExp(`can be written again:.* ${name}\\.`));
});

it('a full disk keeps neither a daemon from its start nor a service from its end, and what is lost is told', {
  timeout: 90_000,
}, async (t) => {
  const disk = await mountSmallDisk(t, 'size=8m');
  const home = join(disk, 'home');
  const first = await openTestRuntime(home);
  const flood = scriptService('flood', 'while :; do echo something to say; done', { isolation: 'none' });
  await first.orchestrator.start(configOf([flood]));
  // What it prints fills the disk.
  const row = (host: TestRuntime) => host.orchestrator.services().find(({ name }) => name === 'flood');
  await eventually('the disk to be full', () => row(first)?.log_stalled);
  await first.runtime.close();

  const next = await openTestRuntime(home);
  assert.match(next.reports[0]!, /cannot be written \(ENOSPC\); free some space/);
  assert.equal(row(next)?.status, 'Started');
  const nothing = await next.orchestrator.start(configOf([scriptService('late', 'true', { isolation: 'none' })]));
  assert.match(nothing.services[0]!.error!, /ENOSPC/);
  const stop = () => next.orchestrator.stop({ names: ['flood'], group: null }, 0);
  const [{ services }] = await Promise.all([stop(), stop()]);
  assert.equal(services[0]!.service.status, 'Stopped');
  await next.runtime.close();
  assert.ok(next.reports.some((report) => /flood: the last \d+ bytes of its stdout were lost/.test(report)));
});

it('a stop of a VM on a full disk ends soon after its command, and what is lost is told', {
  timeout: 90_000,
}, async (t) => {
  const disk = await mountSmallDisk(t, 'size=2m');
  const host = await openTestRuntime();
  defer(t, () => host.close());
  rmdirSync(join(host.home, 'log'));
  symlinkSync(disk, join(host.home, 'log'));
  const flood = scriptService('flood', 'while :; do echo something to say; done');
  await host.orchestrator.start(configOf([flood]));
  await eventually('the disk to be full', () => host.orchestrator.services()[0]!.log_stalled);
  const { services } = await host.orchestrator.stop({ names: ['flood'], group: null }, 1000);
  assert.equal(services[0]!.service.status, 'Stopped');
  assert.match(host.reports.join('\n'), /flood: the last \d+ bytes of its stdout were lost/);
});
