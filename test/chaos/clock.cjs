/**
 * Lets the clock of a process and of all its threads step: `node --require clock.cjs`, by NODE_OPTIONS so that worker
 * threads load it, too. CHAOS_CLOCK_FILE names a file with the milliseconds by which the time differs from the host's.
 * CommonJS, because threads that begin with a piece of source load no module before it.
 */
const { readFileSync } = require('node:fs');

/** Minimum time between reads of the file: every chunk of a log asks for the time. */
const READ_INTERVAL_MS = 20;

const file = process.env.CHAOS_CLOCK_FILE;
const HostDate = Date;
let offsetMs = 0;
let readAtMs = Number.NEGATIVE_INFINITY;

function now() {
  const uptimeMs = performance.now();
  if (uptimeMs - readAtMs >= READ_INTERVAL_MS) {
    readAtMs = uptimeMs;
    try {
      offsetMs = Number(readFileSync(file, 'utf8')) || 0;
    } catch {
      // It is being replaced: the next look finds it.
    }
  }
  return HostDate.now() + offsetMs;
}

if (file) {
  globalThis.Date = class SteppedDate extends HostDate {
    constructor(...parts) {
      super(...(parts.length === 0 ? [now()] : parts));
    }

    static now() {
      return now();
    }
  };
}
