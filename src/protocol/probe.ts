/** Probes as they cross threads: what is asked over the network, and what came of it. */
import { formatDuration } from '../lib/units.ts';
import type { Probe } from './supervision.ts';

/** What a probe found out. */
export interface ProbeResult {
  readonly ok: boolean;
  /** For people: `connection refused`, `status 503`, `exit code 1`, `no answer in 5s`. */
  readonly detail: string;
}

/** A probe that is a connection. */
export type NetworkProbe = Extract<Probe, { type: 'tcp' | 'http' }>;

/** The result of a probe that was cancelled. */
export const CALLED_OFF: ProbeResult = Object.freeze({ ok: false, detail: 'called off' });

/** The result of a probe that took too long. */
export function noAnswer(timeoutMs: number): ProbeResult {
  return { ok: false, detail: `no answer in ${timeoutMs < 1000 ? `${timeoutMs} ms` : formatDuration(timeoutMs)}` };
}
