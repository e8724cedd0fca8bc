import { writeFileSync } from 'node:fs';

/** Writes a shell script that can be executed; returns its path. */
export function writeProgram(path: string, script: string): string {
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}
