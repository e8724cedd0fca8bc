/** File of a home with the settings that its projects have for all of it. Main thread. */
import * as v from 'valibot';
import writeFileAtomic from 'write-file-atomic';
import { MonocoreError, nullIfMissing } from '../lib/errors.ts';
import { readBounded } from '../lib/files.ts';
import { MAX_BYTES } from '../protocol/input.ts';
import { type ProjectSettings, ProjectSettingsSchema } from '../protocol/service.ts';

const FileSchema = v.pipe(v.string(), v.parseJson(), v.object({ projects: v.array(ProjectSettingsSchema) }));

/**
 * Loads the settings that the previous daemon saved; none without a file.
 *
 * @throws the system error, or MonocoreError `Internal` if it is not such a file
 */
export async function loadProjectSettings(path: string): Promise<readonly ProjectSettings[]> {
  const text = await readBounded(path, MAX_BYTES.state).catch(nullIfMissing);
  if (text === null) return [];
  const parsed = v.safeParse(FileSchema, text);
  if (parsed.success) return parsed.output.projects;
  throw new MonocoreError('Internal', `${path} is not a file of settings: ${parsed.issues[0].message}`);
}

/**
 * Saves the settings for the next daemon, which has no config until a `start`. The last call wins. Throws the system
 * error.
 */
export async function saveProjectSettings(path: string, projects: readonly ProjectSettings[]): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify({ projects }, null, 2)}\n`, { mode: 0o600 });
}
