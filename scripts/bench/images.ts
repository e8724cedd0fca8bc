/**
 * Measures services from images: `npm run bench:images [-- --rounds N] [-- --files N]`. A pull and its root against
 * skopeo and umoci on the same registry, a start from an image that is there against one of the built-in root, and the
 * disk that twenty services of one image take. Only ratios of one run mean anything. Needs `npm run test:programs`.
 */

import type { TestContext } from 'node:test';
import { parseArgs } from 'node:util';
import { measureDisk } from './images/disk.ts';
import { measureGetting } from './images/getting.ts';
import { measureStarts } from './images/starts.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '7' }, files: { type: 'string', default: '3000' } },
});
const rounds = Number(values.rounds);

const cleanUps: (() => unknown)[] = [];
/** Cleanup at the end of a test, which the helpers of the tests register. */
const lifetime = { after: (cleanUp: () => unknown) => cleanUps.push(cleanUp) } as unknown as TestContext;

try {
  const getting = await measureGetting(lifetime, rounds, Number(values.files));
  const starts = await measureStarts(lifetime, rounds);
  const disk = await measureDisk(lifetime);
  const row = (...cells: string[]) => console.log(`| ${cells.join(' | ')} |`);
  row('', 'monocore', 'against', 'ratio', 'goal');
  row('---', '---', '---', '---', '---');
  row(
    'pull and prepare',
    `${getting.ownMs} ms`,
    `skopeo copy + umoci unpack: ${getting.peerMs} ms`,
    `${getting.ratio}`,
    '',
  );
  for (const { time, peer, goal, ownMs, peerMs, ratio } of starts) {
    row(`start, image is there, default disk${time}`, `${ownMs} ms`, `${peer}: ${peerMs} ms`, `${ratio}`, goal);
  }
  row('disk of 20 services', disk.own, `20 copies of the root: ${disk.copies}`, `${disk.ratio}`, '');
} finally {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
}
