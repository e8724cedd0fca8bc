/** Ctrl-C. */
import { EXIT } from './exit-codes.ts';

/** A signal that fires at the first Ctrl-C; a second one ends the process at once. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** Gives Ctrl-C its usual meaning back. */
  release(): void;
}

/** Takes Ctrl-C over until {@link Interrupt.release} is called. */
export function catchInterrupt(): Interrupt {
  const controller = new AbortController();
  // Not `once`: signal-exit, which listr2 brings along to show the cursor again, kills the process if it finds itself
  // to be the only listener.
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  return { signal: controller.signal, release: () => process.off('SIGINT', onSignal) };
}
