/**
 * Measures the log pipeline against its peers, side by side: `npm run bench:logs`. Only ratios of one run mean
 * anything: the same host is twice as fast on another day.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { conmon } from './logs/conmon.ts';
import type { Contender } from './logs/contender.ts';
import { BASELINE, summarize } from './logs/figures.ts';
import { LOADS } from './logs/loads.ts';
import { renderMarkdown } from './logs/markdown.ts';
import { measureMemory } from './logs/memory.ts';
import { nodePrograms } from './logs/node-programs.ts';
import { readOptions } from './logs/options.ts';
import { pm2 } from './logs/pm2.ts';
import { renderFigures, renderStreams, renderVerdicts } from './logs/report.ts';
import { stdinPrograms } from './logs/stdin-programs.ts';
import { summarizeStreams } from './logs/stream-figures.ts';
import { measureStreams } from './logs/streams.ts';
import { judgeMemory, judgeStreams, judgeThroughput } from './logs/targets.ts';
import { measureThroughput } from './logs/throughput.ts';

/** Names for `--only` of the parts without contenders. */
const STREAMS_PART = 'streams';
const MEMORY_PART = 'memory';

const everyContender = [...nodePrograms, ...stdinPrograms, conmon, pm2];
const options = readOptions(process.argv.slice(2), [
  ...everyContender.map(({ name }) => name),
  ...LOADS.map(({ name }) => name),
  STREAMS_PART,
  MEMORY_PART,
]);

const dir = mkdtempSync(join(options.dir, 'monocore-bench-'));
process.once('exit', () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const loads = select(LOADS);
const isAlone = options.only.length > 0 && options.only.every((name) => [STREAMS_PART, MEMORY_PART].includes(name));
const [hasStreams, hasMemory] = [STREAMS_PART, MEMORY_PART].map(
  (part) => options.only.length === 0 || options.only.includes(part),
);

const { rounds, mb } = options;
const { contenders, leftOut } = isAlone ? { contenders: [], leftOut: {} } : await prepare();
const measurements = await measureThroughput({ dir, rounds, mb, loads, contenders, onProgress });
if (hasStreams) onProgress('many streams');
const streamRounds = hasStreams ? await measureStreams(join(dir, 'streams'), rounds) : [];

if (hasMemory) onProgress('memory');
const memoryFigures = hasMemory ? await measureMemory(join(dir, 'memory')) : [];
const figures = summarize(measurements, loads, contenders);
const streamFigures = hasStreams ? summarizeStreams(streamRounds) : null;
const verdicts = [
  ...judgeThroughput(figures),
  ...(streamFigures ? judgeStreams(streamFigures) : []),
  ...judgeMemory(memoryFigures),
];

if (options.json) {
  console.log(JSON.stringify({ leftOut, measurements, streamRounds, memoryFigures, verdicts }, null, 2));
} else {
  for (const [name, reason] of Object.entries(leftOut)) console.log(`left out: ${name}: ${reason}`);
  const render = options.markdown ? renderMarkdown : renderFigures;
  if (figures.length > 0) console.log(render(figures));
  if (streamFigures) console.log(renderStreams(streamFigures));
  if (!options.markdown) console.log(renderVerdicts(verdicts));
}
if (options.check && verdicts.some(({ isMet }) => !isMet)) process.exitCode = 1;

/** The entries that `--only` names; all of them when it names none of this kind. */
function select<T extends { readonly name: string }>(entries: readonly T[]): readonly T[] {
  const named = entries.filter(({ name }) => options.only.includes(name));
  return named.length > 0 ? named : entries;
}

/** The contenders that can take part, and why the others cannot. */
async function prepare(): Promise<{ contenders: Contender[]; leftOut: Record<string, string> }> {
  const selected = select(everyContender);
  const contenders: Contender[] = [];
  const leftOut: Record<string, string> = {};
  for (const contender of everyContender) {
    if (contender.name !== BASELINE && !selected.includes(contender)) continue;
    const toolDir = join(dir, contender.name);
    mkdirSync(toolDir);
    const reason = await contender.prepare(toolDir);
    if (reason === null) contenders.push(contender);
    else leftOut[contender.name] = reason;
  }
  return { contenders, leftOut };
}

function onProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`);
}
