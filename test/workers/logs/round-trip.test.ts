/** Whatever is printed, and however it is cut: what is in the files strips back to it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { LogThread } from '../../../src/logs/logs-thread.ts';
import { type LogFormat, repairTail } from '../../../src/protocol/log-files/formats.ts';
import { DEFAULT_LOG_SETTINGS } from '../../../src/protocol/log-settings.ts';
import { openChildEnd, openReadEnd } from '../../../src/vm/host/fifos.ts';
import { callFs, Disk, type MakeCall } from '../../../workers/logs/capture/disk.ts';
import { RollingFile } from '../../../workers/logs/capture/rolling-file.ts';
import { StreamWriter } from '../../../workers/logs/capture/stream-writer.ts';
import { FrameMemory, INPUT_START } from '../../../workers/logs/format/framer.ts';
import { createFramer } from '../../../workers/logs/format/framers.ts';
import { gate } from '../../helpers/fakes/fake-context.ts';
import { ManualClock } from '../../helpers/fakes/manual-clock.ts';
import { contentOf } from '../../helpers/logs/harness.ts';
import { objectLine } from '../../helpers/logs/object-line.ts';
import { linesIn, strip } from '../../helpers/logs/strip.ts';
import { rounds } from '../../helpers/rounds.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const ID = { service: 'web', stream: 'stdout' } as const;

const byte = fc.oneof(fc.constantFrom(10, 10, 13, 0x22, 0x5c, 0xc3, 0xa9), fc.integer({ min: 0, max: 255 }));
const bytes = fc.array(byte, { minLength: 1, maxLength: 60 }).map((each) => Buffer.from(each));
const objects = fc.array(objectLine(), { minLength: 1, maxLength: 3 });
const chunk = fc.oneof(
  { arbitrary: bytes, weight: 3 },
  { arbitrary: objects.map((lines) => Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1')), weight: 1 },
);
/** Settings of a service. */
interface Setting {
  readonly format: LogFormat;
  readonly maxFileBytes: number;
  readonly maxLineBytes: number;
}
const settings: fc.Arbitrary<Setting> = fc.record({
  format: fc.constantFrom('text' as const, 'json' as const),
  maxFileBytes: fc.integer({ min: 1, max: 400 }),
  maxLineBytes: fc.integer({ min: 1, max: 60 }),
});

test('any output survives rolls, restarts, short writes and write errors in both formats', async (t) => {
  const parent = await makeTempDir(t);
  const runs = fc.array(fc.array(chunk, { maxLength: 12 }), { minLength: 1, maxLength: 3 });
  const faults = fc.infiniteStream(fc.integer({ min: -2, max: 30 }));
  await fc.assert(
    fc.asyncProperty(settings, runs, faults, async ({ format, maxFileBytes, maxLineBytes }, inputs, bounds) => {
      const logDir = mkdtempSync(join(parent, 'log-'));
      const clock = new ManualClock();
      const memory = new FrameMemory();
      const makeCall: MakeCall = ({ name, args }, isOnPool) => {
        if (name !== 'write') return callFs({ name, args }, isOnPool);
        const bound = bounds.next().value ?? 30;
        if (bound <= 0) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
        const [fd, bytes, from, length, position] = args as [number, Buffer, number, number, null];
        return callFs({ name, args: [fd, bytes, from, Math.min(bound, length), position] }, isOnPool);
      };
      for (const chunks of inputs) {
        const repair = (tail: Buffer, nowMs: number) => repairTail(tail, { id: ID, continues: false, nowMs });
        // The disk counts as quick however busy the host is: the loop below leaves no time to libuv's pool.
        const disk = new Disk(makeCall, () => 0);
        const file = new RollingFile({ logDir, id: ID, disk, maxFileBytes, repair });
        const framer = createFramer(format, { memory, id: ID, maxLineBytes });
        let isDone = false;
        const ignore = () => {};
        const events = {
          onBusy: ignore,
          onReady: ignore,
          onWritten: ignore,
          post: ignore,
          onHeld: ignore,
          onEnd: () => {
            isDone = true;
          },
        };
        const writer = new StreamWriter({ memory, framer, file, disk, clock, onFull: 'block', events });
        writer.open();
        for (const bytes of chunks) {
          memory.bytes.set(bytes, INPUT_START);
          writer.write(INPUT_START, INPUT_START + bytes.length);
        }
        writer.endLine();
        writer.end();
        while (!isDone) clock.advance(5000);
        await writer.finish();
        file.close();
      }
      const expected = inputs.flatMap((chunks) => linesIn(Buffer.concat(chunks).toString('latin1')));
      assert.deepEqual(strip(format, contentOf(logDir, ID.service, ID.stream)), expected);
      rmSync(logDir, { recursive: true });
    }),
    { numRuns: rounds(500) },
  );
});

for (const workers of [1, 2]) {
  test(`any output survives FIFOs and ${workers} worker threads, one of which dies between two runs`, async (t) => {
    const dir = await makeTempDir(t);
    const logDir = join(dir, 'log');
    const logs = new LogThread(logDir, () => {}, { workers });
    t.after(() => logs.stop());
    await logs.start();
    let runs = 0;
    const capture = async (service: string, own: Setting, chunks: readonly Buffer[]) => {
      const path = join(dir, `${runs}.fifo`);
      runs += 1;
      execFileSync('mkfifo', [path]);
      const streams = [{ stream: 'stdout' as const, fd: openReadEnd(path) }];
      const childEnd = openChildEnd(path);
      const ended = gate();
      const { format, maxFileBytes, maxLineBytes } = own;
      const changed = { format, max_size_bytes: maxFileBytes, max_line_bytes: maxLineBytes };
      const handlers = { reopen: () => openReadEnd(path), onEnded: ended.open };
      await logs.capture(service, streams, handlers, { ...DEFAULT_LOG_SETTINGS, ...changed });
      for (const bytes of chunks) writeSync(childEnd, bytes);
      closeSync(childEnd);
      await ended.opened;
    };
    let cases = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(settings, { minLength: 2, maxLength: 3 }),
        fc.array(fc.array(chunk, { maxLength: 20 }), { minLength: 6, maxLength: 6 }),
        async (perService, inputs) => {
          cases += 1;
          const nameOf = (index: number) => `s${cases}-${index}`;
          for (const round of [0, 3]) {
            await Promise.all(perService.map((own, index) => capture(nameOf(index), own, inputs[round + index]!)));
            if (round === 0 && cases % 5 === 0) await logs.workers[cases % workers]!.crash();
          }
          for (const [index, { format }] of perService.entries()) {
            const both = [inputs[index]!, inputs[index + 3]!];
            const expected = both.flatMap((chunks) => linesIn(Buffer.concat(chunks).toString('latin1')));
            assert.deepEqual(strip(format, contentOf(logDir, nameOf(index), 'stdout')), expected);
          }
        },
      ),
      { numRuns: rounds(40) },
    );
  });
}
