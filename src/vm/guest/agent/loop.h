/* The one loop of the agent, and its clock. */
#ifndef LOOP_H
#define LOOP_H

#include <stdint.h>

/* Something that has descriptors. Its function is called when any of them may have become ready, and tries all. */
struct watch {
  void (*on_event)(struct watch *watch);
};

void begin_loop(void);

/* Watches a descriptor. Its function is told of each change once: it goes on until nothing is left. */
void watch_fd(int fd, struct watch *watch);

/* Closes a descriptor that is watched: a copy in a child would keep the loop watching it. */
void close_watched(int fd);

/* Milliseconds of a clock that only goes forward. */
int64_t now_ms(void);

/* Waits for events until that time, -1 for ever, and tells those that they are for. */
void turn_loop(int64_t until_ms);

#endif
