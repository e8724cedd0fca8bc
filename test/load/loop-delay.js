/** Lets a process watch its event loop, and answer on stdin and stdout how late that ran. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';

/** A sample holds the time between two runs of a timer, so this is taken off it. A finer one would itself be the load. */
const RESOLUTION_MS = 5;

/** `reset` on stdin begins a new window; each line on stdin has the window so far printed: JSON, milliseconds. */
export function watchLoop() {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  const inMs = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
  delay.enable();
  createInterface({ input: process.stdin }).on('line', (command) => {
    if (command === 'reset') delay.reset();
    // Without a sample they are NaN and 2^63.
    const [p50, p99, max] = delay.count === 0 ? [0, 0, 0] : [delay.percentile(50), delay.percentile(99), delay.max];
    console.log(JSON.stringify({ p50: inMs(p50), p99: inMs(p99), max: inMs(max) }));
  });
  // Whoever watches it is gone.
  process.stdin.once('end', () => process.kill(process.pid, 'SIGTERM'));
}
