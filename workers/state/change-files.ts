/** Atomic changes of files: each is written to a temporary file, which takes its name once it is complete. */
import fs from 'node:fs';
import { promisify } from 'node:util';
import { toWireError, type WireError } from '../../src/lib/errors.ts';
import { asideOf, type FileChange } from '../../src/protocol/state.ts';

const fsync = promisify(fs.fsync);

/** State files hold the variables of services, which may be secret. */
const MODE = 0o600;

/** See `StateApi.change`. Waits for the disk once for all changes: it writes many as fast as one. */
export function changeFiles(changes: readonly FileChange[]): Promise<(WireError | null)[]> {
  return Promise.all(changes.map((change) => makeChange(change).then(() => null, toWireError)));
}

/** Synchronous up to the wait for the disk. */
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
