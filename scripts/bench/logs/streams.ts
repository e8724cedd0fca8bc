/** Many streams at once, through the real log worker: what they do to the main thread, and what each one costs. */
import { mkdirSync, rmSync } from 'node:fs';
import { readDelays } from './output-check.ts';
import {
  end,
  openStreams,
  type Sink,
  type StreamWindow,
  startProducers,
  startReader,
  stopProducers,
  watch,
} from './stream-fixtures.ts';

/** The streams of a load test: dozens of services that print a lot. */
export const STREAMS = 50;
export const LINES_PER_SECOND = 2000;
export const LINE_BYTES = 100;

/** Memory is compared between one stream and a hundred more in the same process, all of them at a leisurely pace. */
export const MORE_STREAMS = 100;
const LEISURELY_LINES_PER_SECOND = 100;
/** Space for new objects in MiB. Garbage that V8 has not collected yet would be taken for memory of the streams. */
const SMALL_SEMI_SPACE = '--max-semi-space-size=1';

/** A process with nothing to do and then with all of its streams busy. */
interface DelayObservation {
  readonly idle: StreamWindow;
  readonly busy: StreamWindow;
  /** A process without streams, at the same time as `busy`: what the host alone does to a main thread. */
  readonly bystander: StreamWindow;
  /** Printed lines that are not in the files. */
  readonly lostLines: number;
  /** From the print of a line to its record, the 99th percentile and the most. */
  readonly lineP99Ms: number;
  readonly lineMaxMs: number;
}

interface MemoryObservation {
  readonly oneStreamRssBytes: number;
  readonly manyStreamsRssBytes: number;
  readonly lostLines: number;
}

/** Results of a round. */
export interface StreamRound {
  readonly idle: StreamWindow;
  readonly busy: StreamWindow;
  readonly bystander: StreamWindow;
  /** The same streams with readline on the main thread. */
  readonly busyReadline: StreamWindow;
  readonly lineP99Ms: number;
  readonly lineMaxMs: number;
  /** By the log worker, in all of its processes of the round. */
  readonly lostLines: number;
  readonly oneStreamRssBytes: number;
  readonly manyStreamsRssBytes: number;
}

/** Measures in `dir`, which is made for each observation and removed after it. */
export async function measureStreams(dir: string, rounds: number): Promise<StreamRound[]> {
  const results: StreamRound[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const { idle, busy, bystander, lostLines, ...line } = await observeDelay(dir, 'log-thread');
    const readline = await observeDelay(dir, 'readline');
    const memory = await observeMemory(dir);
    results.push({
      ...{ idle, busy, bystander, ...line },
      busyReadline: readline.busy,
      oneStreamRssBytes: memory.oneStreamRssBytes,
      manyStreamsRssBytes: memory.manyStreamsRssBytes,
      lostLines: lostLines + memory.lostLines,
    });
  }
  return results;
}

/** Opens streams and watches their process first while nothing is printed, then while all of them print. */
function observeDelay(dir: string, sink: Sink): Promise<DelayObservation> {
  return inFolder(dir, async () => {
    const reader = await startReader(sink, dir);
    const beside = await startReader(sink, dir);
    const fifos = await openStreams(reader, STREAMS);
    const idle = await watch(reader);
    const producer = await startProducers(fifos, LINES_PER_SECOND, LINE_BYTES);
    const [busy, bystander] = await Promise.all([watch(reader), watch(beside)]);
    const printed = await stopProducers(producer);
    for (const fixture of [reader, beside]) await end(fixture);
    const { records, delaysMs } = readDelays(dir, LINE_BYTES);
    const lineP99Ms = delaysMs[Math.floor(records * 0.99)] ?? 0;
    return { idle, busy, bystander, lostLines: printed - records, lineP99Ms, lineMaxMs: delaysMs.at(-1) ?? 0 };
  });
}

/** Watches a process with one stream, then the same one with a hundred more. */
function observeMemory(dir: string): Promise<MemoryObservation> {
  return inFolder(dir, async () => {
    const reader = await startReader('log-thread', dir, [SMALL_SEMI_SPACE]);
    const rssBytes: number[] = [];
    let printed = 0;
    for (const streams of [1, MORE_STREAMS]) {
      const fifos = await openStreams(reader, streams);
      const producer = await startProducers(fifos, LEISURELY_LINES_PER_SECOND, LINE_BYTES);
      rssBytes.push((await watch(reader)).rssBytes);
      printed += await stopProducers(producer);
    }
    await end(reader);
    const [oneStreamRssBytes, manyStreamsRssBytes] = rssBytes as [number, number];
    return { oneStreamRssBytes, manyStreamsRssBytes, lostLines: printed - readDelays(dir, LINE_BYTES).records };
  });
}

async function inFolder<T>(dir: string, run: () => Promise<T>): Promise<T> {
  mkdirSync(dir);
  try {
    return await run();
  } finally {
    rmSync(dir, { recursive: true });
  }
}
