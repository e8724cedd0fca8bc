/** Stable name for a stream's current file: a symbolic link beside the numbered files. */
import { join } from 'node:path';
import { errorCode } from '../../../src/lib/errors.ts';
import { fileName, linkName, type StreamId, temporaryLinkName } from '../../../src/protocol/log-files/names.ts';
import { call, type FileStatus, type FileWork } from './disk.ts';

/** Points the link to the file `name`. An old link is replaced by a rename, so a link exists at all times. */
export function* linkTo(logDir: string, id: StreamId, name: string): FileWork<void> {
  const temporary = join(logDir, temporaryLinkName(id));
  try {
    yield* call('symlink', name, temporary);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    // Left behind by a crash.
    yield* call('rm', temporary, { force: true });
    yield* call('symlink', name, temporary);
  }
  yield* call('rename', temporary, join(logDir, linkName(id)));
}

/**
 * Location of an open file: linked, in the folder without a link, moved elsewhere, or deleted; or truncated in place.
 */
type Whereabouts = 'linked' | 'unlinked' | 'moved' | 'deleted' | 'truncated';

/** File that a writer has open. */
interface WrittenFile {
  readonly number: number;
  readonly fd: number;
  readonly sizeBytes: number;
}

/** Locates an open file. Usually one stat through the link is enough. */
export function* whereIs(logDir: string, id: StreamId, file: WrittenFile): FileWork<Whereabouts> {
  const { number, fd, sizeBytes } = file;
  const own = yield* call('fstat', fd);
  if (own.size < sizeBytes) return 'truncated';
  if (yield* leadsTo(join(logDir, linkName(id)), own)) return 'linked';
  if (yield* leadsTo(join(logDir, fileName(id, number)), own)) return 'unlinked';
  return own.nlink > 0 ? 'moved' : 'deleted';
}

/** Checks whether `path`, a file or a link to one, leads to the file `own`. */
function* leadsTo(path: string, own: FileStatus): FileWork<boolean> {
  let found: FileStatus;
  try {
    found = yield* call('stat', path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return false;
    throw error;
  }
  return found.ino === own.ino && found.dev === own.dev;
}
