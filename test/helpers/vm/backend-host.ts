/** Parts of a daemon that a back end of a test is built on. */
import assert from 'node:assert/strict';
import type { HomePaths } from '../../../src/state/paths.ts';
import { FifoMaker } from '../../../src/vm/host/fifos.ts';
import type { BackendHost } from '../../../src/vm/host/host-backend.ts';
import type { Spawner } from '../../../src/vm/host/host-process.ts';

/** A host without jobs and without ports to probe, unless they are given. */
export function makeBackendHost(paths: HomePaths, spawner: Spawner, parts: Partial<BackendHost> = {}): BackendHost {
  return {
    paths,
    spawner,
    fifos: new FifoMaker(spawner),
    runJob: () => assert.fail('no job is run here'),
    prober: { probe: async () => ({ ok: false, detail: 'nothing is asked here' }) },
    ...parts,
  };
}
