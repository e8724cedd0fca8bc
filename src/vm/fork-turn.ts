/** Forks one at a time: each stops the event loop for milliseconds, and services start by the dozen. */

const waiting: (() => void)[] = [];

/**
 * Resolves in a turn of the event loop in which nobody else is let fork, first come, first served; everything else that
 * is due has its turn in between. Main thread.
 */
export function forkTurn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(admit);
  });
}

function admit(): void {
  waiting[0]?.();
  // Shifted afterwards: who comes meanwhile must not begin a second row of turns.
  waiting.shift();
  if (waiting.length > 0) setImmediate(admit);
}
