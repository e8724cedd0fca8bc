/** State files that the test's own thread writes, with the code of the state worker. */
import { fromWireError } from '../../../src/lib/errors.ts';
import type { StateThread } from '../../../src/state/state-thread.ts';
import { changeFiles } from '../../../workers/state/change-files.ts';

export const stateFiles: Pick<StateThread, 'change'> = {
  async change(change) {
    const [error] = await changeFiles([change]);
    if (error) throw fromWireError(error);
  },
};
