import { NO_METRICS } from '../../../src/protocol/service.ts';
import type { SavedState } from '../../../src/protocol/state.ts';
import { renderSavedState } from '../../../src/supervisor/saved-state.ts';
import type { VmState } from '../../../src/supervisor/states.ts';
import { NOT_BLOCKED } from '../../../src/supervisor/status.ts';
import { scriptService } from './services.ts';
import { serviceState, started } from './states.ts';

/** Content of a state file; `pid` tells one version from the next. */
export function savedState(name: string, pid: number, state?: VmState): SavedState {
  const service = scriptService(name, 'true', { envs: { PADDING: 'x'.repeat(20_000) } });
  return renderSavedState(
    {
      definition: { service, group: null, groupIp: null, kernel: null },
      blocked: NOT_BLOCKED,
      state: serviceState(state ?? started({ pid })),
      identity: null,
      metrics: NO_METRICS,
      createdAtMs: 0,
      launchedAtMs: null,
      notes: [],
    },
    0,
  );
}
