/** What the log pipeline is to reach against its peers, and by what it is judged. */

/** How many times as fast as the peer monocore has to be under the main load. */
export const SPEED_TARGETS: Readonly<Record<string, number>> = {
  cat: 0.6,
  conmon: 2.5,
  multilog: 4.5,
  's6-log': 4.5,
  svlogd: 4.5,
  pm2: 20,
};

/** Memory that one more stream may cost, MB (10^6 bytes). */
export const STREAM_MB_TARGET = 0.1;

/** By how much fifty busy streams may raise the 99th percentile of the main thread's delay, milliseconds. */
export const DELAY_MS_TARGET = 1;
