/** From rounds with many streams to figures. */
import { median } from './figures.ts';
import type { StreamWindow } from './stream-fixtures.ts';
import { LINE_BYTES, LINES_PER_SECOND, MORE_STREAMS, STREAMS, type StreamRound } from './streams.ts';

/** The windows of a round. */
type WindowName = 'idle' | 'busy' | 'bystander' | 'busyReadline';

/** Medians over the rounds. */
export interface StreamFigures {
  readonly windows: Readonly<Record<WindowName, StreamWindow>>;
  /** Difference of the delay's 99th percentile to that of the idle process. */
  readonly addedP99Ms: number;
  readonly mbPerStream: number;
  readonly lineP99Ms: number;
  readonly lineMaxMs: number;
  /** In all rounds. */
  readonly lostLines: number;
}

/** Medians of every figure by itself. */
export function summarizeStreams(rounds: readonly StreamRound[]): StreamFigures {
  const window = (name: WindowName): StreamWindow => {
    const of = (key: keyof StreamWindow) => median(rounds.map((round) => round[name][key]));
    return {
      p50Ms: of('p50Ms'),
      p99Ms: of('p99Ms'),
      maxMs: of('maxMs'),
      cpuSeconds: of('cpuSeconds'),
      seconds: of('seconds'),
      rssBytes: of('rssBytes'),
    };
  };
  return {
    windows: {
      idle: window('idle'),
      busy: window('busy'),
      bystander: window('bystander'),
      busyReadline: window('busyReadline'),
    },
    addedP99Ms: median(rounds.map(({ idle, busy }) => busy.p99Ms - idle.p99Ms)),
    mbPerStream: median(
      rounds.map(({ oneStreamRssBytes, manyStreamsRssBytes: many }) => (many - oneStreamRssBytes) / MORE_STREAMS / 1e6),
    ),
    lineP99Ms: median(rounds.map(({ lineP99Ms }) => lineP99Ms)),
    lineMaxMs: median(rounds.map(({ lineMaxMs }) => lineMaxMs)),
    lostLines: rounds.reduce((sum, { lostLines }) => sum + lostLines, 0),
  };
}

/** Cores that a process used. */
export function streamCpuShare({ cpuSeconds, seconds }: StreamWindow): number {
  return cpuSeconds / seconds;
}

/** CPU seconds for each GB that the streams print. */
export function streamCpuPerGb({ cpuSeconds, seconds }: StreamWindow): number {
  return cpuSeconds / ((seconds * STREAMS * LINES_PER_SECOND * LINE_BYTES) / 1e9);
}
