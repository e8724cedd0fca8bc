/** Runs `task` every `intervalMs`; skips a tick while it is still running. The returned function stops the schedule. */
export function runEvery(intervalMs: number, task: () => Promise<void>): () => void {
  let running = false;
  const timer = setInterval(() => {
    if (running) return;
    running = true;
    void task().finally(() => {
      running = false;
    });
  }, intervalMs);
  return () => clearInterval(timer);
}
