/** The processes of `streams.ts`: one that reads, and one that prints. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { ended } from './processes.ts';

const WINDOW_MS = 3000;

/** Reader of the streams. */
export type Sink = 'log-thread' | 'readline';

/** Command to the process that reads. It answers with all FIFOs, or with a {@link StreamWindow}. */
export type StreamsCommand =
  | { readonly type: 'open'; readonly streams: number }
  | { readonly type: 'watch'; readonly windowMs: number };

/** Observations of the process of the log worker. Delays are of its main thread's event loop. */
export interface StreamWindow {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Of the whole process, in the same time again without watching the delay. */
  readonly cpuSeconds: number;
  readonly seconds: number;
  /** At its end, of the whole process. */
  readonly rssBytes: number;
}

/** A process that answers to messages. */
interface Fixture {
  readonly child: ChildProcess;
  readonly end: Promise<void>;
  /** Its next message; throws when it ends first. */
  next(): Promise<unknown[]>;
}

/** Starts the process that reads; it has no streams yet. */
export async function startReader(sink: Sink, dir: string, nodeFlags: readonly string[] = []): Promise<Fixture> {
  const reader = start('streams.ts', [sink, dir], nodeFlags);
  await reader.next();
  return reader;
}

/** Returns the paths of the FIFOs, those that were open before included. */
export async function openStreams(reader: Fixture, streams: number): Promise<string[]> {
  reader.child.send({ type: 'open', streams } satisfies StreamsCommand);
  return ((await reader.next()) as [string[]])[0];
}

/** Lets the process watch itself for a while. */
export async function watch(reader: Fixture): Promise<StreamWindow> {
  reader.child.send({ type: 'watch', windowMs: WINDOW_MS } satisfies StreamsCommand);
  return ((await reader.next()) as [StreamWindow])[0];
}

/** Starts to print into every FIFO. */
export async function startProducers(
  fifos: readonly string[],
  linesPerSecond: number,
  lineBytes: number,
): Promise<Fixture> {
  const producer = start('steady-producer.ts', [`${linesPerSecond}`, `${lineBytes}`, ...fifos]);
  await producer.next();
  return producer;
}

/** Returns how many lines were printed. */
export async function stopProducers(producer: Fixture): Promise<number> {
  producer.child.send('stop');
  const [printed] = (await producer.next()) as [number];
  await producer.end;
  return printed;
}

/** Lets the process close its streams and end. */
export async function end(fixture: Fixture): Promise<void> {
  fixture.child.disconnect();
  await fixture.end;
}

function start(fixture: string, args: readonly string[], nodeFlags: readonly string[] = []): Fixture {
  const child = fork(fileURLToPath(new URL(`fixtures/${fixture}`, import.meta.url)), args, {
    execArgv: [...nodeFlags, '--import', import.meta.resolve('tsx')],
  });
  const exited = ended(child, fixture);
  const failed = exited.then(() => Promise.reject(new Error(`${fixture} ended before its work was done`)));
  failed.catch(() => {});
  return { child, end: exited, next: () => Promise.race([once(child, 'message'), failed]) };
}
