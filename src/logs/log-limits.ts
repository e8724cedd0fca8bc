/** Limits for the logs of a whole home, kept for the next daemon: it has no config before a `start`. Main thread. */
import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import writeFileAtomic from 'write-file-atomic';
import { type HomeLogSettings, HomeLogSettingsSchema } from '../protocol/log-settings.ts';

/** The limits that were saved; null where none were, and where the file is not one of this version. */
export async function loadLogLimits(path: string): Promise<HomeLogSettings | null> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), HomeLogSettingsSchema), text);
  return parsed.success ? parsed.output : null;
}

/** Throws the system's error. Of calls for the same path the last one counts. */
export async function saveLogLimits(path: string, limits: HomeLogSettings): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(limits, null, 2)}\n`, { mode: 0o644 });
}
