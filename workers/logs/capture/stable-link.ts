/** The name that always leads to the current file of a stream: a link beside the numbered files. */
import { join } from 'node:path';
import { errorCode } from '../../../src/lib/errors.ts';
import { fileName, linkName, type StreamId, temporaryLinkName } from './file-names.ts';
import { call, type FileStatus, type FileWork } from './files.ts';

/** Lets the stable name lead to the file `name`. One that leads elsewhere is replaced: at no moment is there none. */
export function* linkTo(logDir: string, id: StreamId, name: string): FileWork<void> {
  const link = join(logDir, linkName(id));
  try {
    return yield* call('symlink', name, link);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
  const temporary = join(logDir, temporaryLinkName(id));
  yield* call('rm', temporary);
  yield* call('symlink', name, temporary);
  yield* call('rename', temporary, link);
}

/** Where an open file is: behind its link, in the folder without it, anywhere else, or nowhere. */
export type Whereabouts = 'linked' | 'unlinked' | 'moved' | 'deleted';

/** Looks for file `number`, which is open as `fd`. As long as all is well one stat through the link tells. */
export function* whereIs(logDir: string, id: StreamId, number: number, fd: number): FileWork<Whereabouts> {
  const own = yield* call('fstat', fd);
  if (yield* leadsTo(join(logDir, linkName(id)), own)) return 'linked';
  if (yield* leadsTo(join(logDir, fileName(id, number)), own)) return 'unlinked';
  return own.nlink > 0 ? 'moved' : 'deleted';
}

/** Whether `path`, a file or a link to one, leads to the file `own`. */
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
