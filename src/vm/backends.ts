/** Registry of back ends: one row for each kind of isolation; its capabilities are a row in `protocol/isolation.ts`. */
import type { Isolation } from '../protocol/isolation.ts';
import type { Backend } from './backend.ts';
import type { BackendHost } from './host/host-backend.ts';
import { ProcessBackend } from './process/process-backend.ts';
import { QemuBackend } from './qemu/qemu-backend.ts';

/** Constructor of the back end for each kind. */
export type BackendRegistry = Readonly<Record<Isolation, (host: BackendHost) => Backend>>;

/** The back ends of monocore. */
export const BACKENDS: BackendRegistry = {
  vm: (host) => new QemuBackend(host),
  none: (host) => new ProcessBackend(host),
};

/** Opens all back ends of a registry. */
export function openBackends(registry: BackendRegistry, host: BackendHost): Readonly<Record<Isolation, Backend>> {
  const opened = Object.entries(registry).map(([isolation, open]) => [isolation, open(host)]);
  return Object.fromEntries(opened) as Record<Isolation, Backend>;
}
