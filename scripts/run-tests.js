/**
 * Runs tests: `node scripts/run-tests.js [folder or file]...`, by default all of `test`.
 *
 * Node 20 expands neither folders nor globs and takes a run of no tests for a success, so the files are found here.
 * A skipped test, a todo, a file without a test, a process or a folder that the tests left behind: each is a failure.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const e2eDir = join(root, 'test', 'e2e') + sep;

/** What test/helpers/temp.ts puts before the name of each folder that a test makes. */
const TEMP_PREFIX = 'monocore-test-';
/** Files at a time. A file under test/e2e boots VMs, which would starve each other. */
const CONCURRENCY = 2;
const E2E_CONCURRENCY = 1;
/** A test that hangs must not hold up the run for ever; the longest takes a minute on a busy host. */
const TEST_TIMEOUT_MS = 300_000;
/** Time that processes get to vanish: one that was killed may still be on its way out. */
const EXIT_GRACE_MS = 3000;

const foldersBefore = new Set(tempFolders());
const files = process.argv.length > 2 ? process.argv.slice(2).flatMap(findTests) : findTests(join(root, 'test'));
if (files.length === 0) {
  console.error('no *.test.ts file found');
  process.exit(1);
}

const complaints = [];
let passed = 0;
let failed = 0;
run(
  files.filter((file) => !file.startsWith(e2eDir)),
  CONCURRENCY,
);
run(
  files.filter((file) => file.startsWith(e2eDir)),
  E2E_CONCURRENCY,
);
for (const line of await findSurvivors()) complaints.push(`process left behind: ${line}`);
for (const folder of tempFolders()) {
  if (!foldersBefore.has(folder)) complaints.push(`folder left behind: ${folder}`);
}

for (const complaint of complaints) console.error(complaint);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || complaints.length > 0 ? 1 : 0;

/** The test files at or below `path`, sorted. Throws ENOENT where there is nothing. */
function findTests(path) {
  const absolute = resolve(path);
  if (statSync(absolute).isFile()) return [absolute];
  return readdirSync(absolute, { recursive: true })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join(absolute, name))
    .sort();
}

/** Runs `files`, `concurrency` at a time, and adds up how their tests fared. */
function run(files, concurrency) {
  if (files.length === 0) return;
  const resultDir = mkdtempSync(join(tmpdir(), 'monocore-results-'));
  const resultFile = join(resultDir, 'results');
  try {
    const { status, signal } = spawnSync(
      process.execPath,
      [
        '--import=tsx',
        '--test',
        `--test-concurrency=${concurrency}`,
        `--test-timeout=${TEST_TIMEOUT_MS}`,
        '--test-reporter=spec',
        '--test-reporter-destination=stdout',
        `--test-reporter=${new URL('count-reporter.js', import.meta.url).href}`,
        `--test-reporter-destination=${resultFile}`,
        ...files,
      ],
      { cwd: root, stdio: 'inherit' },
    );
    const failedBefore = failed;
    for (const line of readFileSync(resultFile, 'utf8').split('\n').filter(Boolean)) countResult(JSON.parse(line));
    if (status !== 0 && failed === failedBefore)
      complaints.push(`node --test ended with ${signal ?? `code ${status}`}`);
  } finally {
    rmSync(resultDir, { recursive: true });
  }
}

function countResult({ outcome, name }) {
  if (outcome === 'passed') passed += 1;
  else failed += 1;
  if (outcome === 'skipped' || outcome === 'todo') complaints.push(`${outcome} test: ${name}`);
  if (outcome === 'empty') complaints.push(`file without a test: ${name}`);
}

function tempFolders() {
  return readdirSync(tmpdir())
    .filter((name) => name.startsWith(TEMP_PREFIX))
    .map((name) => join(tmpdir(), name));
}

/** Command lines of the QEMU processes that work in a test's folder, once those that are ending have ended. */
async function findSurvivors() {
  const deadline = Date.now() + EXIT_GRACE_MS;
  for (;;) {
    const survivors = readdirSync('/proc').filter(Number).map(describeTestVm).filter(Boolean);
    if (survivors.length === 0 || Date.now() > deadline) return survivors;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function describeTestVm(pid) {
  let commandLine;
  try {
    commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return null;
  }
  const isTestVm = commandLine.includes('qemu-system') && commandLine.includes(join(tmpdir(), TEMP_PREFIX));
  return isTestVm ? `${pid} ${commandLine}` : null;
}
