/** Removes what the log worker wrote for a service. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../../src/lib/errors.ts';
import { STREAM_NAMES } from '../../../src/protocol/log-files/names.ts';
import { linkName, parseFileName, temporaryLinkName } from './file-names.ts';

/** Deletes the numbered files and the symlinks of `service`, and nothing else. What is gone already is fine. */
export async function removeServiceFiles(logDir: string, service: string): Promise<void> {
  const links = new Set(
    STREAM_NAMES.flatMap((stream) => [linkName, temporaryLinkName].map((of) => of({ service, stream }))),
  );
  let names: string[] = [];
  try {
    names = await readdir(logDir);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  // The links first: they shall not lead nowhere.
  const ofService = names.filter((name) => parseFileName(name)?.service === service);
  for (const name of [...names.filter((name) => links.has(name)), ...ofService]) {
    await rm(join(logDir, name), { force: true });
  }
}
