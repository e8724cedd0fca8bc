/** Processes of services at their start. */
import { readFileSync } from 'node:fs';
import { eventually } from '../eventually.ts';

/**
 * Waits until a launched process is its program. One whose daemon dies before that ends instead, see `launch.c` of the
 * spawner, so a fixture that is killed waits first.
 */
export async function becomeProgram(pid: number): Promise<void> {
  await eventually('its program', () => readFileSync(`/proc/${pid}/comm`, 'utf8') !== 'monocore-launch\n');
}
