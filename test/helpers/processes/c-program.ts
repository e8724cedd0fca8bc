/** Programs in C that tests compile for this host. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { executableFolders, findExecutable } from '../../../scripts/debian-packages.ts';

/**
 * Compiles sources with the sanitizers of addresses and of undefined behaviour; returns the path of the program, which is
 * gone after the tests of the file.
 */
export function compileSanitized(sources: readonly string[]): string {
  const compiler = findExecutable('gcc', executableFolders());
  if (compiler === undefined) throw new Error('gcc is missing: install the packages gcc and libc6-dev');
  const dir = mkdtempSync(join(tmpdir(), 'monocore-c-'));
  after(() => rmSync(dir, { recursive: true }));
  const program = join(dir, 'program');
  const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-g', '-O1'];
  execFileSync(compiler, ['-std=gnu11', '-Wall', '-Wextra', '-Werror', ...sanitizers, '-o', program, ...sources]);
  return program;
}
