/** Registry of back ends: one row for each kind of isolation; its capabilities are a row in `protocol/isolation.ts`. */
import type { Isolation } from '../protocol/isolation.ts';
import type { HomePaths } from '../state/paths.ts';
import type { Backend } from './backend.ts';
import type { FifoMaker } from './host/fifos.ts';
import type { Spawner } from './host/host-process.ts';
import type { Prober } from './process/health-probe.ts';
import { ProcessBackend } from './process/process-backend.ts';
import type { RunInitramfsJob } from './qemu/platform.ts';
import { QemuBackend } from './qemu/qemu-backend.ts';

/** Parts of the daemon that back ends are built on. */
export interface BackendHost {
  readonly paths: HomePaths;
  readonly spawner: Spawner;
  readonly fifos: FifoMaker;
  /** Runs a job in the pool. */
  readonly runJob: RunInitramfsJob;
  /** Probes ports of this host. */
  readonly prober: Prober;
}

/** Constructor of the back end of each kind. */
export type BackendRegistry = Readonly<Record<Isolation, (host: BackendHost) => Backend>>;

/** The back ends of monocore. */
export const BACKENDS: BackendRegistry = {
  vm: ({ paths, spawner, fifos, runJob }) => new QemuBackend(paths, spawner, fifos, runJob),
  none: ({ paths, spawner, fifos, prober }) => new ProcessBackend(paths, spawner, fifos, prober),
};

/** Opens all back ends of a registry. */
export function openBackends(registry: BackendRegistry, host: BackendHost): Readonly<Record<Isolation, Backend>> {
  const opened = Object.entries(registry).map(([isolation, open]) => [isolation, open(host)]);
  return Object.fromEntries(opened) as Record<Isolation, Backend>;
}
