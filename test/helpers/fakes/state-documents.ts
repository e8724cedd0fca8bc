import { NO_METRICS } from '../../../src/protocol/service.ts';
import type { SavedState } from '../../../src/protocol/state-document.ts';
import type { VmState } from '../../../src/supervisor/states.ts';
import { renderDocument, UNHINDERED } from '../../../src/supervisor/status.ts';
import { scriptService } from './services.ts';
import { serviceState, started } from './states.ts';

/** A state file's content; `pid` tells one version from the next. */
export function stateDocument(name: string, pid: number, state?: VmState): SavedState {
  const service = scriptService(name, 'true', { envs: { PADDING: 'x'.repeat(20_000) } });
  return renderDocument(
    {
      definition: { service, group: null, groupIp: null, kernel: null },
      hindrances: UNHINDERED,
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
