/** Changes files atomically: each is written to a temporary file, which is renamed once it is complete. */
import fs from 'node:fs';
import { promisify } from 'node:util';
import { toWireError, type WireError } from '../../src/lib/errors.ts';
import { asideOf, type FileChange } from '../../src/protocol/state.ts';

const fsync = promisify(fs.fsync);

/** State files contain the variables of services, which may be secret. */
const MODE = 0o600;

/**
 * Implements `StateApi.change`. Waits for the disk once for all changes, so that writing many is as fast as writing
 * one.
 */
export function changeFiles(changes: readonly FileChange[]): Promise<(WireError | null)[]> {
  return Promise.all(changes.map((change) => makeChange(change).then(() => null, toWireError)));
}

/** Makes one change; synchronous up to the wait for the disk. */
async function makeChange(change: FileChange): Promise<void> {
  const { path } = change;
  const aside = asideOf(path);
  if (change.type === 'remove') {
    for (const file of [path, aside]) fs.rmSync(file, { recursive: true, force: true });
    return;
  }
  const fd = fs.openSync(aside, 'w', MODE);
  try {
    try {
      fs.writeFileSync(fd, change.text);
      if (change.durable) await fsync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(aside, path);
  } catch (error) {
    fs.rmSync(aside, { force: true });
    throw error;
  }
}
