/** Several log workers that share the streams of a daemon. */
import assert from 'node:assert/strict';
import { closeSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { LogThread } from '../../src/logs/logs-thread.ts';
import type { LogQuery } from '../../src/protocol/log-files/queries.ts';
import { transfer } from '../../src/threads/rpc.ts';
import { openChildEnd, openReadEnd } from '../../src/vm/host/fifos.ts';
import { eventually } from '../helpers/eventually.ts';
import { gate } from '../helpers/fakes/fake-context.ts';
import { contentOf, linesOf, TestReader } from '../helpers/logs/harness.ts';
import { makeFifos } from '../helpers/processes/fifos.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

const SERVICES = ['one', 'two', 'three', 'four'];

async function startWorkers(t: TestContext, workers: number) {
  const dir = await makeTempDir(t);
  const logDir = join(dir, 'log');
  const reports: string[] = [];
  const logs = new LogThread(logDir, (level, message) => reports.push(`${level}: ${message}`), { workers });
  defer(t, () => logs.stop());
  await logs.start();
  let fifos = 0;
  const open = async (service: string) => {
    const path = join(dir, `${fifos}.fifo`);
    fifos += 1;
    makeFifos([path]);
    const fd = openReadEnd(path);
    const childEnd = openChildEnd(path);
    const ended = gate();
    let isOpen = true;
    const end = async () => {
      if (isOpen) closeSync(childEnd);
      isOpen = false;
      await ended.opened;
    };
    defer(t, () => isOpen && closeSync(childEnd));
    const reopen = () => openReadEnd(path);
    await logs.capture(service, [{ stream: 'stdout', fd }], { reopen, onEnded: ended.open });
    return { print: (text: string) => writeSync(childEnd, text), end };
  };
  const read = async (query: Partial<LogQuery> = {}) => {
    const { port1, port2 } = new MessageChannel();
    defer(t, () => port1.close());
    const reader = new TestReader(port1);
    const whole: LogQuery = { services: [], streams: ['stdout'], tail: null, follow: false, ...query };
    await (await logs.thread.ready()).read(whole, transfer(port2, [port2]));
    return reader;
  };
  const written = (service: string, line: string) =>
    eventually(line, () => contentOf(logDir, service, 'stdout').includes(line));
  return { logs, logDir, reports, open, read, written };
}

test('every worker has a name and a share of the streams', async (t) => {
  const { logs, open, logDir } = await startWorkers(t, 2);
  assert.deepEqual(
    logs.workers.map((worker) => worker.status()).map(({ name, state }) => [name, state]),
    [
      ['logs', 'ready'],
      ['logs-2', 'ready'],
    ],
  );
  const services = await Promise.all(SERVICES.map(open));
  for (const [index, service] of services.entries()) {
    service.print(`from ${SERVICES[index]}\n`);
    await service.end();
  }
  for (const service of SERVICES) assert.deepEqual(linesOf(contentOf(logDir, service, 'stdout')), [`from ${service}`]);
});

test('readers get the records of all workers merged by time, and followers the new ones', async (t) => {
  const { open, read, written } = await startWorkers(t, 3);
  const services = await Promise.all(SERVICES.map(open));
  const lines: string[] = [];
  for (let round = 0; round < 5; round += 1) {
    for (const [index, service] of services.entries()) {
      const line = `${round} from ${SERVICES[index]}`;
      service.print(`${line}\n`);
      await written(SERVICES[index]!, line);
      lines.push(line);
    }
  }
  const past = linesOf(await (await read()).ended());
  assert.deepEqual(past.toSorted(), lines.toSorted());
  assert.deepEqual(linesOf(await (await read({ tail: 3 })).ended()).length, 3);

  const follower = await read({ follow: true, tail: 2 });
  await follower.until(({ text }) => linesOf(text).length === 2);
  for (const [index, service] of services.entries()) {
    service.print(`new from ${SERVICES[index]}\n`);
    await follower.until(({ text }) => text.includes(`new from ${SERVICES[index]}\n`));
  }
  assert.equal(linesOf(follower.text).length, 6);
});

test('a line that another worker has written in part is delivered only when complete', async (t) => {
  const { open, read, written } = await startWorkers(t, 2);
  const services = await Promise.all(['one', 'two'].map(open));
  const follower = await read({ follow: true });
  for (const service of services) service.print('whole\nhalf');
  for (const name of ['one', 'two']) await written(name, 'half');
  await follower.until(({ text }) => text.split('whole').length === 3);
  assert.deepEqual(linesOf(await (await read()).ended()), ['whole', 'whole']);
  for (const service of services) service.print(' a line\n');
  await follower.until(({ text }) => text.split('half a line').length === 3);
  assert.deepEqual(linesOf(follower.text).toSorted(), ['half a line', 'half a line', 'whole', 'whole']);
});

test('followers get new output after the death of either worker', async (t) => {
  const { logs, open, read, reports } = await startWorkers(t, 2);
  const services = await Promise.all(['one', 'two'].map(open));
  for (const victim of logs.workers) {
    const { restarts } = victim.status();
    await victim.crash();
    await eventually('the restart', async () => victim.status().restarts > restarts && victim.ready());
    const follower = await read({ follow: true });
    for (const [index, service] of services.entries()) {
      service.print(`after ${victim.name} ${index}\n`);
      await follower.until(({ text }) => text.includes(`after ${victim.name} ${index}`));
    }
    follower.close();
  }
  assert.equal(reports.length, 2);
});

test('a stop delivers the last records of every worker to followers', async (t) => {
  const { logs, open, read } = await startWorkers(t, 2);
  const services = await Promise.all(SERVICES.map(open));
  const follower = await read({ follow: true });
  for (const [index, service] of services.entries()) {
    service.print(`last of ${SERVICES[index]}\n`);
    await service.end();
  }
  await logs.stop();
  assert.equal(linesOf(await follower.ended()).length, SERVICES.length);
});

test('followers forget removed logs, whichever worker wrote them', async (t) => {
  const { logs, open, read, logDir } = await startWorkers(t, 2);
  const follower = await read({ follow: true });
  for (const round of ['old', 'new']) {
    const services = await Promise.all(['one', 'two'].map(open));
    for (const service of services) service.print(`${round} ${'x'.repeat(round === 'old' ? 1 : 100)}\n`);
    await follower.until(({ text }) => text.split(` ${round} `).length === 3);
    for (const service of services) await service.end();
    if (round === 'new') continue;
    for (const name of ['one', 'two']) await logs.removeLogs(name);
    for (const name of ['one', 'two']) assert.equal(contentOf(logDir, name, 'stdout'), '');
  }
  assert.equal(linesOf(follower.text).length, 4);
});
