/**
 * Makes `workers/logs/format/frame-wasm.ts` of `workers/logs/format/frame.wat`. With `--check` it writes nothing and fails when that
 * file is not what would be written. The result is committed, so that neither a build nor a run needs wabt.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import loadWabt from 'wabt';

const source = new URL('../workers/logs/format/frame.wat', import.meta.url);
const target = new URL('../workers/logs/format/frame-wasm.ts', import.meta.url);

const wabt = await loadWabt();
const parsed = wabt.parseWat(fileURLToPath(source), await readFile(source, 'utf8'), {
  simd: true,
  mutable_globals: true,
});
const { buffer } = parsed.toBinary({});
const text = `/** frame.wat, compiled by scripts/compile-framer.js; base64. */
export const FRAME_WASM =
  '${Buffer.from(buffer).toString('base64')}';
`;

if (!process.argv.includes('--check')) {
  await writeFile(target, text);
} else if ((await readFile(target, 'utf8')) !== text) {
  console.error(`${fileURLToPath(target)} is not what frame.wat compiles to: run node scripts/compile-framer.js`);
  process.exitCode = 1;
}
