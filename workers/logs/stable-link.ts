/** The name that always leads to the current file of a stream: a link beside the numbered files. */
import { join } from 'node:path';
import { errorCode } from '../../src/errors.ts';
import { linkName, type StreamId, temporaryLinkName } from './file-names.ts';
import { call, type FileStatus, type FileWork } from './files.ts';

/** Lets the stable name lead to the file `name`. By rename: at no moment does it lead nowhere. */
export function* linkTo(logDir: string, id: StreamId, name: string): FileWork<void> {
  const temporary = join(logDir, temporaryLinkName(id));
  yield* call('rm', temporary);
  yield* call('symlink', name, temporary);
  yield* call('rename', temporary, join(logDir, linkName(id)));
}

/** Whether `path`, a file or a link to one, leads to the open file `fd`. */
export function* leadsTo(path: string, fd: number): FileWork<boolean> {
  const own = yield* call('fstat', fd);
  let found: FileStatus;
  try {
    found = yield* call('stat', path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return false;
    throw error;
  }
  return found.ino === own.ino && found.dev === own.dev;
}
