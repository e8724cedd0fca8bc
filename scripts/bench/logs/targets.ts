/** Targets of the log pipeline against its peers, and their verdicts. */
import type { Figures } from './figures.ts';
import { MAIN_LOAD } from './loads.ts';
import type { MemoryFigures, MemoryTask } from './memory.ts';
import { type StreamFigures, streamCpuShare } from './stream-figures.ts';

/** Speed: monocore is at least that many times as fast as the peer. */
export const SPEED_TARGETS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  [MAIN_LOAD]: { cat: 0.6, conmon: 2.5, multilog: 4.5, 's6-log': 4.5, svlogd: 4.5, pm2: 20 },
  'lines-100': { conmon: 1, 's6-log': 1 },
};
/** CPU time: monocore takes at most that many times that of the peer. */
const CPU_TARGETS: Readonly<Record<string, Readonly<Record<string, number>>>> = { [MAIN_LOAD]: { cat: 1.6 } };

/** Memory that one more stream may cost, MB (10^6 bytes). */
const STREAM_MB_TARGET = 0.1;
/** Most that fifty busy streams may add to the 99th percentile of the main thread's delay, milliseconds. */
const DELAY_MS_TARGET = 1;
/** Part of a core that fifty busy streams may take. */
const STREAMS_CPU_TARGET = 0.06;
/** Longest time from the print of a line to its record, the 99th percentile, milliseconds. */
const LINE_MS_TARGET = 10;

/**
 * Most growth of the process, MB (10^6 bytes): a line of 50 MB is not kept, and what is read is passed on in the same few
 * buffers. Pieces of compressed files are left to V8 for a while.
 */
const MEMORY_MB_TARGETS: Readonly<Record<MemoryTask, number>> = { 'long-line': 25, 'read-log': 85, 'search-log': 85 };

/** A target and whether it was met. */
export interface Verdict {
  readonly text: string;
  readonly isMet: boolean;
}

/** Verdicts about the throughput. */
export function judgeThroughput(figures: readonly Figures[]): Verdict[] {
  return figures.flatMap(({ load, contender: { name }, ratio, cpuRatio }) => {
    const speed = SPEED_TARGETS[load]?.[name];
    const cpu = CPU_TARGETS[load]?.[name];
    return [
      ...(speed === undefined ? [] : [atLeast(`${load}: speed against ${name}`, ratio, speed, '×')]),
      ...(cpu === undefined ? [] : [atMost(`${load}: CPU time against ${name}`, 1 / cpuRatio, cpu, '×')]),
    ];
  });
}

/** Verdicts about many streams. */
export function judgeStreams(figures: StreamFigures): Verdict[] {
  const { windows, addedP99Ms, mbPerStream, lineP99Ms, lostLines } = figures;
  return [
    atMost('many streams: cores', streamCpuShare(windows.busy), STREAMS_CPU_TARGET, ''),
    atMost('many streams: print to record, p99', lineP99Ms, LINE_MS_TARGET, ' ms'),
    atMost('many streams: main thread p99 above idle', addedP99Ms, DELAY_MS_TARGET, ' ms'),
    atMost('many streams: memory per stream', mbPerStream, STREAM_MB_TARGET, ' MB'),
    atMost('many streams: lines lost', lostLines, 0, ''),
  ];
}

/** Verdicts about memory. */
export function judgeMemory(figures: readonly MemoryFigures[]): Verdict[] {
  return figures.map(({ task, grownMb }) => atMost(`memory: ${task}`, grownMb, MEMORY_MB_TARGETS[task], ' MB'));
}

function atLeast(title: string, value: number, bound: number, unit: string): Verdict {
  return judge(title, value, unit, `≥ ${bound}`, value >= bound);
}

function atMost(title: string, value: number, bound: number, unit: string): Verdict {
  return judge(title, value, unit, `≤ ${bound}`, value <= bound);
}

function judge(title: string, value: number, unit: string, target: string, isMet: boolean): Verdict {
  return { text: `${title}: ${value.toFixed(2)}${unit}, target ${target} ${isMet ? 'met' : 'NOT MET'}`, isMet };
}
