/**
 * Test files that share a process. The start of a process with a compiler, and the load of the modules that most tests
 * import, take longer than the tests of most files.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';

/** A file for node:test to run in a process of its own, and the test files that run there. */
export interface TestProcess {
  readonly entry: string;
  readonly files: readonly string[];
}

/** So many that the start of a process counts little, and so few that the processes end at about the same time. */
const FILES_IN_PROCESS = 12;

/** Words of a test that may change its process, start others, or hook into every test of its process. */
const UNSHARED = /\bprocess\.|node:(child_process|worker_threads)|\bmock\b|^\s*(before|after)(Each)?\(/m;

/**
 * Divides test files between processes, those that share one first.
 *
 * @param dir folder for the entries of the processes
 */
export function groupFiles(files: readonly string[], dir: string): TestProcess[] {
  const shared: string[] = [];
  const alone: string[] = [];
  for (const file of files) (UNSHARED.test(readFileSync(file, 'utf8')) ? alone : shared).push(file);
  const processes: TestProcess[] = [];
  for (let index = 0; index < shared.length; index += FILES_IN_PROCESS) {
    const group = shared.slice(index, index + FILES_IN_PROCESS);
    if (group.length === 1) {
      alone.push(...group);
      break;
    }
    const entry = join(dir, `group-${processes.length + 1}.mjs`);
    const source = `import { importTests } from ${JSON.stringify(import.meta.url)};\n`;
    writeFileSync(entry, `${source}await importTests(${JSON.stringify(group, null, 2)});\n`);
    processes.push({ entry, files: group });
  }
  return [...processes, ...alone.map((file) => ({ entry: file, files: [file] }))];
}

/** Declares the tests of those files. A file that cannot be loaded becomes a failed test of its name. */
export async function importTests(files: readonly string[]): Promise<void> {
  for (const file of files) {
    try {
      await import(pathToFileURL(file).href);
    } catch (error) {
      test(file, () => {
        throw error;
      });
    }
  }
}
