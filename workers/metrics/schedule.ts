/**
 * Runs `task` every `intervalMs`. A tick that comes while the task is still running is skipped, so that a slow batch
 * never overlaps the next.
 *
 * @returns stops the schedule; a running task continues to its end
 */
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
