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
import { nodePrograms } from './logs/node-programs.ts';
import { readOptions } from './logs/options.ts';
import { pm2 } from './logs/pm2.ts';
import { renderFigures, renderStreams } from './logs/report.ts';
import { stdinPrograms } from './logs/stdin-programs.ts';
import { summarizeStreams } from './logs/stream-figures.ts';
import { measureStreams } from './logs/streams.ts';
import { measureThroughput } from './logs/throughput.ts';

/** Name for `--only` of the part with many streams. */
const STREAMS_PART = 'streams';

const everyContender = [...nodePrograms, ...stdinPrograms, conmon, pm2];
const options = readOptions(process.argv.slice(2), [
  ...everyContender.map(({ name }) => name),
  ...LOADS.map(({ name }) => name),
  STREAMS_PART,
]);

const dir = mkdtempSync(join(options.dir, 'monocore-bench-'));
process.once('exit', () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const loads = select(LOADS);
const isStreamsOnly = options.only.length > 0 && options.only.every((name) => name === STREAMS_PART);
const hasStreams = options.only.length === 0 || options.only.includes(STREAMS_PART);

const { rounds, mb } = options;
const { contenders, leftOut } = isStreamsOnly ? { contenders: [], leftOut: {} } : await prepare();
const measurements = await measureThroughput({ dir, rounds, mb, loads, contenders, onProgress });
if (hasStreams) onProgress('many streams');
const streamRounds = hasStreams ? await measureStreams(join(dir, 'streams'), rounds) : [];

if (options.json) {
  console.log(JSON.stringify({ leftOut, measurements, streamRounds }, null, 2));
} else {
  for (const [name, reason] of Object.entries(leftOut)) console.log(`left out: ${name}: ${reason}`);
  const render = options.markdown ? renderMarkdown : renderFigures;
  if (measurements.length > 0) console.log(render(summarize(measurements, loads, contenders)));
  if (hasStreams) console.log(renderStreams(summarizeStreams(streamRounds)));
}

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
