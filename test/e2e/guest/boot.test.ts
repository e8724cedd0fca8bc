/** Boots of guests on a home or a host that is not as it should be. */
import { readdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { scriptService } from '../../helpers/fakes/services.ts';
import { makeGuestHost } from '../../helpers/vm/guest.ts';

it('boots although the cached file that guests boot from was truncated, or removed, since the last start', async (t) => {
  const host = await makeGuestHost(t);
  const start = async (name: string) => (await host.launch(scriptService(name, 'exit 0'))).event('job-exited');
  await start('first');
  const [file] = readdirSync(host.paths.initramfsDir);
  const path = join(host.paths.initramfsDir, file!);
  truncateSync(path, 1000);
  await start('second');
  rmSync(path);
  await start('third');
});
