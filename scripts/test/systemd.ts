/**
 * Tests of the daemon as a service of a real systemd, in a virtual machine: `npm run test:systemd -- [suite or release]...`,
 * by default the unit of root in Debian 12. A suite is a file of `test/systemd/suites`.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { RELEASES, type Release } from '../../test/systemd/base-image.ts';
import { runProcesses, type TestResult } from './run.ts';

const USAGE = `usage: npm run test:systemd -- [suite]... [release]
  suites    system: the unit of root; user: the unit of a user; stops: hangs, signals, reboots; vm: the limits of a VM
  releases  ${RELEASES.join(', ')}`;

/** Of one suite. A machine under software emulation is slow, and slower beside other work. */
const TIMEOUT_MS = 7_200_000;

const isRelease = (name: string): name is Release => RELEASES.some((release) => release === name);
const words = process.argv.slice(2);
const suites = words.filter((word) => !isRelease(word));
const fileOf = (suite: string) => fileURLToPath(new URL(`../../test/systemd/suites/${suite}.ts`, import.meta.url));
if (suites.some((suite) => !existsSync(fileOf(suite)))) {
  console.error(USAGE);
  process.exit(2);
}
if (process.getuid?.() !== 0 || process.arch !== 'x64') {
  console.error('test:systemd needs root, for the owners of files on the disks of its machine, and x86-64');
  process.exit(1);
}
const results: TestResult[] = [];
for (const release of words.some(isRelease) ? words.filter(isRelease) : (['bookworm'] as const)) {
  process.env.MONOCORE_TEST_RELEASE = release;
  // One machine at a time: they would starve each other.
  const files = (suites.length > 0 ? suites : ['system']).map(fileOf);
  const processes = files.map((file) => ({ entry: file, files: [file] }));
  results.push(...(await runProcesses(processes, 1, TIMEOUT_MS)));
}
const passed = results.filter(({ outcome }) => outcome === 'passed').length;
console.log(`${passed} passed, ${results.length - passed} failed`);
process.exitCode = passed === results.length && passed > 0 ? 0 : 1;
