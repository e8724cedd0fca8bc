/*
 * monocore-tsc
 *
 * Prints the rate of the processor's time stamp counter in kHz, measured against CLOCK_MONOTONIC for a tenth of a second.
 * /proc/cpuinfo has the processor's clock, which follows power saving and is not that of the counter.
 */
#include "freestanding.h"

typedef unsigned long long u64;

enum { CLOCK_MONOTONIC = 1, SAMPLES = 8 };

struct timespec {
  long seconds, nanoseconds;
};

struct sample {
  u64 ticks, nanoseconds;
};

static u64 now(void) {
  struct timespec time = {0, 0};
  call(__NR_clock_gettime, CLOCK_MONOTONIC, (long)&time, 0, 0);
  return time.seconds * 1000000000ULL + time.nanoseconds;
}

/* A reading of both: the one of several whose ends are closest, because the process may be interrupted in between. */
static struct sample take(void) {
  struct sample best = {0, 0};
  u64 width = ~0ULL;
  for (int left = SAMPLES; left > 0; left--) {
    u64 before = __builtin_ia32_rdtsc(), time = now(), after = __builtin_ia32_rdtsc();
    if (after - before >= width) continue;
    width = after - before;
    best = (struct sample){before + width / 2, time};
  }
  return best;
}

static _Noreturn void run(long *stack) {
  (void)stack;
  take(); /* Brings all of it into the caches. */
  struct sample first = take();
  struct timespec tenth = {0, 100000000};
  call(__NR_nanosleep, (long)&tenth, 0, 0, 0);
  struct sample last = take();
  u64 khz = (last.ticks - first.ticks) * 1000000 / (last.nanoseconds - first.nanoseconds);
  char line[24];
  char *at = line + sizeof line;
  *--at = '\n';
  do *--at = '0' + khz % 10;
  while (khz /= 10);
  call(__NR_write, 1, (long)at, line + sizeof line - at, 0);
  end(0);
}
