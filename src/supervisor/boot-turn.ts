/** Turns to boot: how a session waits for its own. */
import { MonocoreError } from '../lib/errors.ts';

/**
 * Waits for a turn to boot.
 *
 * @param enter has the callback called when it has come; it is over when what that answers is fulfilled
 * @returns ends the turn
 * @throws MonocoreError `Aborted` when the signal fires first
 */
export async function takeTurn(
  enter: (onTurn: () => Promise<void>) => Promise<void>,
  signal: AbortSignal,
): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new MonocoreError('Aborted', 'the start was called off'));
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    void enter(
      () =>
        new Promise<void>((endTurn) => {
          signal.removeEventListener('abort', onAbort);
          if (signal.aborted) endTurn();
          else resolve(endTurn);
        }),
    );
  });
}
