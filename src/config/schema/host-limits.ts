/** What the host has to give: the upper limits of what a service may ask for. */
import { availableParallelism, totalmem } from 'node:os';

export interface HostLimits {
  /** Cpus that this process may use. */
  readonly cpus: number;
  /** Memory of the host, MiB. */
  readonly ramMib: number;
}

/** The limits of this host, asked anew at each call. */
export function hostLimits(): HostLimits {
  return { cpus: availableParallelism(), ramMib: Math.floor(totalmem() / 2 ** 20) };
}
