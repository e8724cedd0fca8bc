/** Atomic changes of files: each is written to a temporary file, which takes its name once it is complete. */
import fs from 'node:fs';
import { promisify } from 'node:util';
import { toWireError, type WireError } from '../../src/lib/wire-error.ts';
import { asideOf, type FileChange } from '../../src/protocol/state.ts';

const fsync = promisify(fs.fsync);

/** State files hold the variables of services, which may be secret. */
const MODE = 0o600;

/** See `StateApi.change`. Waits for the disk once for all changes: it writes many as fast as one. */
export async function changeFiles(changes: readonly FileChange[]): Promise<(WireError | null)[]> {
  const begun = changes.map((change) => attempt(() => begin(change)));
  return Promise.all(begun.map(async (fd, index) => finish(changes[index]!, fd)));
}

/** @returns descriptor of a temporary file that must be on disk before it takes its name; null once the change is made */
function begin(change: FileChange): number | null {
  const { path } = change;
  const aside = asideOf(path);
  if (change.type === 'remove') {
    for (const file of [path, aside]) fs.rmSync(file, { force: true });
    return null;
  }
  const fd = fs.openSync(aside, 'w', MODE);
  try {
    fs.writeFileSync(fd, change.text);
    if (change.durable) return fd;
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
  fs.closeSync(fd);
  fs.renameSync(aside, path);
  return null;
}

async function finish({ path }: FileChange, begun: Attempt<number | null>): Promise<WireError | null> {
  let { error } = begun;
  const fd = begun.value ?? null;
  if (fd !== null) {
    error = await fsync(fd).then(() => null, toWireError);
    fs.closeSync(fd);
    error ??= attempt(() => fs.renameSync(asideOf(path), path)).error;
  }
  if (error) attempt(() => fs.rmSync(asideOf(path), { force: true }));
  return error;
}

interface Attempt<T> {
  readonly value: T | null;
  readonly error: WireError | null;
}

function attempt<T>(make: () => T): Attempt<T> {
  try {
    return { value: make(), error: null };
  } catch (error) {
    return { value: null, error: toWireError(error) };
  }
}
