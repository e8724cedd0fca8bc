/** Commands that wait until something is so. */

/** Main thread. */
export class Waiters {
  readonly #checks = new Set<() => void>();

  /** Resolves as soon as `isSo`; it is asked now, at each {@link Waiters.check}, and when `signal` fires. */
  until(isSo: () => boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!isSo()) return;
        this.#checks.delete(check);
        signal?.removeEventListener('abort', check);
        resolve();
      };
      this.#checks.add(check);
      signal?.addEventListener('abort', check);
      check();
    });
  }

  /** Something has changed. */
  check(): void {
    for (const check of [...this.#checks]) check();
  }
}
