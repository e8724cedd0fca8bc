/** How a command that changes services shows what happens. */
import type { ServiceOutcome } from '../../protocol/api.ts';
import type { ServiceStatus } from '../../protocol/service.ts';

/** A view of a running command. */
export interface Progress {
  /** A service that the command is about has changed. */
  update(service: ServiceStatus): void;
  /** The command is done with a service. */
  finish(outcome: ServiceOutcome): void;
  /** The command has ended; services without outcome are left as they are. */
  close(): Promise<void>;
}
