/** Runs `task` every `intervalMs`, and skips a tick while it runs. The returned function stops the schedule. */
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
