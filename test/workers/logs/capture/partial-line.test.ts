/** Lines without a newline: reported for health checks, and no change to the records. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { MAX_PARTIAL_BYTES, PartialLine } from '../../../../workers/logs/capture/partial-line.ts';
import { eventually } from '../../../helpers/eventually.ts';
import { ManualClock } from '../../../helpers/fakes/manual-clock.ts';
import { contentOf, linesOf, startLogs } from '../../../helpers/logs/harness.ts';

function makeLine() {
  const clock = new ManualClock();
  const texts: string[] = [];
  const line = new PartialLine(clock, (text) => texts.push(text));
  return { clock, texts, line, take: (text: string) => line.take(Buffer.from(text)) };
}

test('a line without a newline is reported once it has been there for a while, and again only when it grows', () => {
  const { clock, texts, take } = makeLine();
  take('whole\nrea');
  take('dy> ');
  clock.advance(249);
  assert.deepEqual(texts, []);
  clock.advance(1);
  assert.deepEqual(texts, ['ready> ']);
  clock.advance(10_000);
  assert.deepEqual(texts, ['ready> ']);
  take('?');
  clock.advance(250);
  assert.deepEqual(texts, ['ready> ', 'ready> ?']);
});

test('a line that ends in time is not reported, and neither is one that has been closed', () => {
  const { clock, texts, line, take } = makeLine();
  take('soon');
  clock.advance(200);
  take(' whole\n');
  clock.advance(10_000);
  assert.deepEqual(texts, []);
  take('never');
  line.close();
  clock.advance(10_000);
  assert.deepEqual(texts, []);
});

test('a line that grows without end is reported at most four times a second, and its end is kept', () => {
  const { clock, texts, take } = makeLine();
  for (let count = 0; count < 100; count += 1) {
    take(`${count}`.padStart(100, '.'));
    clock.advance(10);
  }
  assert.equal(texts.length, 4);
  assert.ok(texts.every(({ length }) => length <= MAX_PARTIAL_BYTES));
  assert.ok(texts.at(-1)!.endsWith('.99') || texts.at(-1)!.endsWith('.98'));
  take('x'.repeat(2 * MAX_PARTIAL_BYTES));
  clock.advance(250);
  assert.equal(texts.at(-1), 'x'.repeat(MAX_PARTIAL_BYTES));
});

for (const format of ['text', 'json'] as const) {
  test(`the records in ${format} are the same whether the line is reported or not`, async (t) => {
    const logs = await startLogs(t);
    const source = await logs.open('web', 'stdout', { format }, { tellsPartialLines: true });
    const other = await logs.open('db', 'stdout', { format });
    for (const stream of [source, other]) await stream.write('one\nready> ');
    assert.deepEqual(await logs.log.next('partial-line'), {
      type: 'partial-line',
      service: 'web',
      stream: 'stdout',
      text: 'ready> ',
    });
    for (const stream of [source, other]) {
      await stream.write('yes\n');
      await stream.end();
    }
    const content = (service: string) => contentOf(logs.dir, service, 'stdout').replaceAll(service, '');
    const texts = (service: string) =>
      format === 'text'
        ? linesOf(contentOf(logs.dir, service, 'stdout'))
        : content(service)
            .trimEnd()
            .split('\n')
            .map((record) => JSON.parse(record).msg);
    await eventually('the records', () => content('web').includes('yes') && content('db').includes('yes'));
    assert.deepEqual(
      [texts('web'), texts('db')],
      [
        ['one', 'ready> yes'],
        ['one', 'ready> yes'],
      ],
    );
    assert.deepEqual(
      logs.log.types().filter((type) => type === 'partial-line'),
      ['partial-line'],
    );
  });
}

test('the thread after one that died knows the line that it had begun', async (t) => {
  const logs = await startLogs(t);
  const held = {
    ...{ place: null, items: [], withheld: Buffer.alloc(0) },
    framer: { type: 'buffering', line: Buffer.from('rea'), epochMs: 0, isContinued: false },
  } as const;
  const source = await logs.open(
    'web',
    'stdout',
    { format: 'json' },
    { continues: true, held, tellsPartialLines: true },
  );
  await source.write('dy> ');
  assert.equal((await logs.log.next('partial-line')).text, 'ready> ');
});
