import type { Isolation } from '../../../src/protocol/isolation.ts';
import type { Config } from '../../../src/protocol/service.ts';
import { configOf, scriptService } from './services.ts';

/** Exit code of a service that was asked to end. */
export const ASKED_EXIT_CODE = 7;

/** Its constant output: a daemon that dies may take one chunk with it, but nothing later. */
export const ALIVE = 'alive';

/** A service that says when it begins and when it was asked to end, for daemons that die. */
export function doomedConfig(isolation: Isolation): Config {
  const script = `trap 'echo asked; exit ${ASKED_EXIT_CODE}' TERM; echo begun; while :; do sleep 0.02; echo ${ALIVE}; done`;
  return configOf([scriptService('doomed', script, { isolation })]);
}
